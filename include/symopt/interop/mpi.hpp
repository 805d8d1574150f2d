// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Trainings of several processes by MPI: see docs/distributed.md. Needs mpi.h (Debian's libopenmpi-dev), and
/// for saving and loading nlohmann-json.

#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/interop/mpi/distributed_optimizer.hpp>
#include <symopt/interop/mpi/row_optimizer.hpp>

#if __has_include(<nlohmann/json.hpp>)
#include <symopt/interop/mpi/row_state.hpp>
#include <symopt/interop/mpi/state.hpp>
#endif
