// SPDX-License-Identifier: Apache-2.0
#pragma once

// The algebras of pairs: see group/algebra/concept.hpp.
#include <symopt/group/algebra/diagonal.hpp>
#include <symopt/group/algebra/full.hpp>
#include <symopt/group/algebra/planes.hpp>
#include <symopt/group/algebra/scalars.hpp>
