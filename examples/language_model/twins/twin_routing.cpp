// SPDX-License-Identifier: Apache-2.0
#include "twin_routing.hpp"

#include "../routes.hpp"

namespace language_model {

symopt::BasicRouting<double> twin_routing_of(const ModelShape& shape, const Kinds& kinds,
                                             const Settings& settings) {
  return Routes<double>::make(shape, kinds, settings);
}

}  // namespace language_model
