// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/distributed_access.hpp>
#include <symopt/interop/mpi/shared_state.hpp>

#include <filesystem>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

namespace detail {

/// The state of a stack whose blocks have owners: every array lies whole on one rank.
template <class Optimizer>
class OwnersState {
 public:
  /// Throws Error before distribute().
  OwnersState(Optimizer& optimizer, const char* caller) : optimizer_(optimizer) {
    DistributedAccess::require_distributed(optimizer, caller);
  }

  const Communicator& processes() const { return optimizer_.processes(); }
  symopt::detail::StateTable table() const {
    return symopt::detail::StateAccess::table(DistributedAccess::stack(optimizer_));
  }
  FileLayout layout(const symopt::detail::StateTable& table,
                    const std::vector<interop::detail::StateArray>& arrays) const {
    std::vector<SharedArray> all = shared_arrays(processes(), arrays);
    std::vector<interop::TensorToSave> tensors = tensors_of(all, table);
    return {std::move(tensors), std::move(all)};
  }
  void commit(const symopt::detail::StateTable& loaded, bool with_rates) const {
    symopt::detail::StateAccess::commit(DistributedAccess::stack(optimizer_), loaded, with_rates);
  }

 private:
  Optimizer& optimizer_;
};

}  // namespace detail

/// Saves the state of all ranks in one file, as interop::save_state does: to the bit the file of one process,
/// for one process or any number of ranks to load. Rank 0 writes it, and holds a megabyte of what comes from
/// the others. Collective. A rank that is killed in the middle leaves the old file or the new one. Errors, on
/// all ranks, with the old file as it was: those of interop::save_state, with the rank.
template <class Scalar>
void save_state(const BasicDistributedOptimizer<Scalar>& optimizer, const std::filesystem::path& path,
                interop::SaveOptions options = {}) {
  detail::save_state_to(detail::OwnersState(optimizer, "save_state"), options, detail::no_file_was_written,
                        [&](detail::Failure& failure) { return detail::FileOfAll(path, failure); });
}

/// Loads such a file, or one that interop::save_state saved, as interop::load_state does: every rank reads it
/// and takes the states of its own blocks. Collective. Errors, on all ranks, with nothing changed on any:
/// those of interop::load_state, with the rank, and Error where the ranks have read different files.
template <class Scalar>
interop::LoadReport load_state(BasicDistributedOptimizer<Scalar>& optimizer,
                               const std::filesystem::path& path, interop::LoadOptions options = {}) {
  return detail::load_state_from(detail::OwnersState(optimizer, "load_state"), path.string(), options,
                                 [&] { return interop::detail::contents_of(path); });
}

}}}  // namespace symopt::mpi
