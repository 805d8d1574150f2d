// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/stack/routing.hpp>

#include "kinds.hpp"
#include "model_shape.hpp"
#include "settings.hpp"

namespace language_model {

/// The rule of every parameter of the demo's own model.
symopt::Routing routing_of(const ModelShape& shape, const Kinds& kinds, const Settings& settings);

}  // namespace language_model
