// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/row_optimizer.hpp>
#include <symopt/interop/mpi/shared_state.hpp>
#include <symopt/interop/mpi/state_of_rows.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

namespace detail {

/// The state of a block whose rows several processes have: each array is put together from their rows, or is
/// the same on all that have some.
template <class Optimizer>
class RowsState {
 public:
  explicit RowsState(Optimizer& optimizer) : optimizer_(optimizer) {}

  const Communicator& processes() const { return optimizer_.processes(); }
  symopt::detail::StateTable table() const {
    using Rule = typename Optimizer::rule_type;
    using Scalar = typename Optimizer::scalar_type;
    const Shape whole = optimizer_.whole();
    symopt::detail::StateTable table = symopt::detail::StateAccess::table_of_block(optimizer_, whole);
    auto& state = table.parameters.front().state;
    state = std::make_shared<StateOfRows>(std::move(state),
                                          extents_of_a_row<Rule, Scalar>(optimizer_.rule(), whole.cols),
                                          optimizer_.rows(), whole.rows);
    return table;
  }
  FileLayout layout(const symopt::detail::StateTable& table,
                    const std::vector<interop::detail::StateArray>& arrays) const {
    FileLayout file;
    for (std::size_t place = 0; place < arrays.size(); ++place) {
      const symopt::detail::StateField& field = arrays[place].field;
      const std::string& name = table.parameters[arrays[place].parameter].name;
      file.tensors.push_back({name + "/" + field.name, field.dtype, interop::detail::shape_in_file(field)});
      const auto add = [&](int rank, std::vector<Index> shape) {
        file.pieces.push_back({.rank = rank, .place = place, .width = field.scalar_size, .shape = shape});
      };
      if (field.rows.extent == 0) add(first_with_rows(), field.shape);
      for (int rank = 0; field.rows.extent > 0 && rank < processes().size(); ++rank) {
        std::vector<Index> shape = field.shape;
        shape[0] = field.rows.extent * count_of(rank);
        add(rank, std::move(shape));
      }
    }
    return file;
  }
  void commit(const symopt::detail::StateTable& loaded, bool with_rates) const {
    symopt::detail::StateAccess::commit(optimizer_, loaded, with_rates);
  }

 private:
  Index count_of(int rank) const { return optimizer_.rows(rank).end - optimizer_.rows(rank).begin; }
  /// The first rank whose steps are those of the block: one without rows may have stepped nothing.
  int first_with_rows() const {
    for (int rank = 0; rank < processes().size(); ++rank)
      if (count_of(rank) > 0) return rank;
    return 0;
  }

  Optimizer& optimizer_;
};

}  // namespace detail

/// Saves the state of a block's rows on all ranks in one file, as interop::save_state does: to the bit the
/// file of an Optimizer of the whole block, for one process or any number of ranks to load. Rank 0 writes it,
/// and holds a megabyte of what comes from the others. Collective. A rank that is killed in the middle leaves
/// the old file or the new one. Errors, on all ranks, with the old file as it was: those of
/// interop::save_state, with the rank; Error for a state of your own that is no list of rows.
template <class Rule, class Scalar>
void save_state(const RowOptimizer<Rule, Scalar>& optimizer, const std::filesystem::path& path,
                interop::SaveOptions options = {}) {
  detail::save_state_to(detail::RowsState(optimizer), options, detail::no_file_was_written,
                        [&](detail::Failure& failure) { return detail::FileOfAll(path, failure); });
}

/// Loads such a file, or one that interop::save_state saved, as interop::load_state does: every rank reads
/// all of it, and takes its own rows. Collective. Errors, on all ranks, with nothing changed on any: those of
/// interop::load_state, with the rank, and Error where the ranks have read different files.
template <class Rule, class Scalar>
interop::LoadReport load_state(RowOptimizer<Rule, Scalar>& optimizer, const std::filesystem::path& path,
                               interop::LoadOptions options = {}) {
  return detail::load_state_from(detail::RowsState(optimizer), path.string(), options,
                                 [&] { return interop::detail::contents_of(path); });
}

}}}  // namespace symopt::mpi
