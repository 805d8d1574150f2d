// SPDX-License-Identifier: Apache-2.0
// expect: lerning_rate
// A call that takes options among other things is overloaded, and compilers say of a misspelt one no more than that no
// overload fits. With the type before the brace they name it.
#include <symopt/optimizer/options.hpp>

using namespace symopt;

#ifdef WRONG
OptimizerOptions options = OptimizerOptions{.lerning_rate = 0.1};
#else
OptimizerOptions options = OptimizerOptions{.learning_rate = 0.1};
#endif
