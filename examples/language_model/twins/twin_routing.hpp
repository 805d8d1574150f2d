// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/routing.hpp>

#include "../kinds.hpp"
#include "../model_shape.hpp"
#include "../settings.hpp"

namespace language_model {

/// The rule of every parameter of a twin, which is the demo's own model in double.
symopt::BasicRouting<double> twin_routing_of(const ModelShape& shape, const Kinds& kinds,
                                             const Settings& settings);

}  // namespace language_model
