// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/agreement.hpp>
#include <symopt/interop/mpi/checksum.hpp>
#include <symopt/interop/mpi/shared_arrays.hpp>
#include <symopt/state/state.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A state of which several processes have parts, saved and loaded by all of them together. `Source` says what
// is whose:
//   processes()              the Communicator
//   table()                  the StateTable, with the states that are here
//   layout(table, arrays)    the FileLayout, from the arrays of the table; collective
//   commit(table, rates)     takes steps, and rates where they are asked for, out of a table that was loaded
namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

inline constexpr const char* no_file_was_written = "no file was written; an older one is as it was";

/// The arrays of a file and, in the order of its bytes, the pieces of ranks that they are put together from.
struct FileLayout {
  std::vector<interop::TensorToSave> tensors;
  std::vector<SharedArray> pieces;
};

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
template <class Source>
void save_state_to(const Source& source, interop::SaveOptions options, const char* consequence,
                   const auto& make_sink) {
  const Communicator& processes = source.processes();
  Failure mine;
  symopt::detail::StateTable table;
  std::vector<interop::detail::StateArray> arrays;
  mine.attempt([&] {
    table = source.table();
    arrays = interop::detail::arrays_of(table, options);
  });
  mine.agree(processes, consequence);
  const FileLayout file = source.layout(table, arrays);
  if (processes.rank() == 0) {
    auto sink = make_sink(mine);
    std::string header;
    mine.attempt([&] { header = interop::detail::header_of(table, file.tensors); });
    sink.write(header.data(), header.size());
    const auto write = [&](const void* bytes, std::size_t count) { sink.write(bytes, count); };
    for (const SharedArray& piece : file.pieces)
      if (piece.rank == 0) {
        interop::detail::for_each_packed_row(arrays[piece.place].field,
                                             [&](auto row) { write(row.data(), row.size()); });
      } else {
        receive_array(processes, piece, write);
      }
    sink.commit();
  } else {
    for (const SharedArray& piece : file.pieces)
      if (piece.rank == processes.rank()) send_array(processes, arrays[piece.place].field);
  }
  mine.agree(processes, consequence);
}

/// Throws Error on all ranks unless all have read the same header: steps, options and sizes. Collective.
inline void require_one_file(const Communicator& processes, const std::vector<std::byte>& bytes,
                             const std::string& source, const char* consequence) {
  const auto length = interop::Safetensors::header_length(bytes, bytes.size(), source);
  Checksum sum;
  sum.add(std::string_view(reinterpret_cast<const char*>(bytes.data()), 8 + length));
  long long most[] = {sum.value(), -sum.value()};
  processes.take_largest(most);
  symopt::detail::require(most[0] == -most[1], [&] {
    return "the ranks have read different files as '" + source + "'; " + consequence +
           ". Load one that all of them see, or copies of it";
  });
}

/// Loads the state that contents() gives the bytes of, on each rank; errors call them `name`. Collective.
template <class Source>
interop::LoadReport load_state_from(const Source& source, const std::string& name,
                                    interop::LoadOptions options, const auto& contents) {
  const Communicator& processes = source.processes();
  const char* const consequence = "nothing was changed on any rank";
  Failure mine;
  symopt::detail::StateTable table;
  std::vector<std::byte> bytes;
  std::optional<interop::detail::StateReader> reader;
  mine.attempt([&] {
    table = source.table();
    bytes = contents();
    reader.emplace(bytes, name, options);
    reader->check(table);
  });
  mine.agree(processes, consequence);
  require_one_file(processes, bytes, name, consequence);
  mine.attempt([&] { reader->load_those_that_may_refuse(); });
  try {
    mine.agree(processes, consequence);
  } catch (...) {
    reader->put_back();
    throw;
  }
  interop::LoadReport report = reader->load_the_rest();
  source.commit(table, !options.keep_rates);
  return report;
}

}}}  // namespace symopt::mpi::detail
