// SPDX-License-Identifier: Apache-2.0
#include "routing.hpp"

#include "routes.hpp"

namespace language_model {

symopt::Routing routing_of(const ModelShape& shape, const Kinds& kinds, const Settings& settings) {
  return Routes<float>::make(shape, kinds, settings);
}

}  // namespace language_model
