// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/distributed_access.hpp>
#include <symopt/interop/mpi/shared_arrays.hpp>
#include <symopt/state/state.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi {

namespace detail {

/// The writer of a file on rank 0, of bytes that come in pieces; what fails is kept until the end.
class FileOfAll {
 public:
  FileOfAll(const std::filesystem::path& path, Failure& failure) : failure_(failure) {
    failure_.attempt([&] { file_.emplace(path); });
    buffer_.reserve(piece_size);
  }
  void write(const void* bytes, std::size_t count) {
    failure_.attempt([&] {
      const char* first = static_cast<const char*>(bytes);
      buffer_.insert(buffer_.end(), first, first + count);
      if (buffer_.size() >= piece_size) flush();
    });
  }
  void commit() {
    failure_.attempt([&] {
      flush();
      file_->commit();
    });
  }

 private:
  void flush() {
    file_->write(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

  Failure& failure_;
  std::optional<interop::FileReplacement> file_;
  std::vector<char> buffer_;
};

/// The bytes of such a file in memory.
class BytesOfAll {
 public:
  BytesOfAll(std::string& all, Failure& failure) : all_(all), failure_(failure) {}
  void write(const void* bytes, std::size_t count) {
    failure_.attempt([&] { all_.append(static_cast<const char*>(bytes), count); });
  }
  void commit() {}

 private:
  std::string& all_;
  Failure& failure_;
};

/// Saves the state of all ranks to what make_sink(failure) makes on rank 0. Collective.
template <class Scalar>
void save_state_to(const BasicDistributedOptimizer<Scalar>& optimizer, interop::SaveOptions options,
                   const char* consequence, const auto& make_sink) {
  DistributedAccess::require_distributed(optimizer, "save_state");
  const Communicator& processes = optimizer.processes();
  Failure mine;
  symopt::detail::StateTable table;
  std::vector<interop::detail::StateArray> arrays;
  mine.attempt([&] {
    table = symopt::detail::StateAccess::table(DistributedAccess::stack(optimizer));
    arrays = interop::detail::arrays_of(table, options);
  });
  mine.agree(processes, consequence);
  const std::vector<SharedArray> all = shared_arrays(processes, arrays);
  if (processes.rank() == 0) {
    auto sink = make_sink(mine);
    std::string header;
    mine.attempt([&] { header = interop::detail::header_of(table, tensors_of(all, table)); });
    sink.write(header.data(), header.size());
    const auto write = [&](const void* bytes, std::size_t count) { sink.write(bytes, count); };
    for (const SharedArray& array : all)
      if (array.rank == 0) {
        interop::detail::for_each_packed_row(arrays[array.place].field,
                                             [&](auto row) { write(row.data(), row.size()); });
      } else {
        receive_array(processes, array, write);
      }
    sink.commit();
  } else {
    for (const SharedArray& array : all)
      if (array.rank == processes.rank()) send_array(processes, arrays[array.place].field);
  }
  mine.agree(processes, consequence);
}

/// Loads the state that contents() gives the bytes of, on each rank; errors call them `source`. Collective.
template <class Scalar>
interop::LoadReport load_state_from(BasicDistributedOptimizer<Scalar>& optimizer, const std::string& source,
                                    interop::LoadOptions options, const auto& contents) {
  DistributedAccess::require_distributed(optimizer, "load_state");
  const Communicator& processes = optimizer.processes();
  const char* const consequence = "nothing was changed on any rank";
  auto& stack = DistributedAccess::stack(optimizer);
  Failure mine;
  symopt::detail::StateTable table;
  std::vector<std::byte> bytes;
  std::optional<interop::detail::StateReader> reader;
  mine.attempt([&] {
    table = symopt::detail::StateAccess::table(stack);
    bytes = contents();
    reader.emplace(bytes, source, options);
    reader->check(table);
  });
  mine.agree(processes, consequence);
  mine.attempt([&] { reader->load_those_that_may_refuse(); });
  try {
    mine.agree(processes, consequence);
  } catch (...) {
    reader->put_back();
    throw;
  }
  interop::LoadReport report = reader->load_the_rest();
  symopt::detail::StateAccess::commit(stack, table, !options.keep_rates);
  return report;
}

}  // namespace detail

/// Saves the state of all ranks in one file, as interop::save_state does: to the bit the file of one process,
/// for one process or any number of ranks to load. Rank 0 writes it, and holds a megabyte of what comes from
/// the others. Collective. A rank that is killed in the middle leaves the old file or the new one. Errors, on
/// all ranks, with the old file as it was: those of interop::save_state, with the rank.
template <class Scalar>
void save_state(const BasicDistributedOptimizer<Scalar>& optimizer, const std::filesystem::path& path,
                interop::SaveOptions options = {}) {
  detail::save_state_to(optimizer, options, "no file was written; an older one is as it was",
                        [&](detail::Failure& failure) { return detail::FileOfAll(path, failure); });
}

/// Loads such a file, or one that interop::save_state saved, as interop::load_state does: every rank reads it
/// and takes the states of its own blocks. Collective. Errors, on all ranks, with nothing changed on any:
/// those of interop::load_state, with the rank.
template <class Scalar>
interop::LoadReport load_state(BasicDistributedOptimizer<Scalar>& optimizer,
                               const std::filesystem::path& path, interop::LoadOptions options = {}) {
  return detail::load_state_from(optimizer, path.string(), options,
                                 [&] { return interop::detail::contents_of(path); });
}

}}}  // namespace symopt::mpi
