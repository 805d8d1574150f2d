// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/state/state_file.hpp>

#include <mpi.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <functional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The arrays of a state whose blocks several processes hold, in the order in which one process saves them.
namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

/// One of them, as all ranks know it.
struct SharedArray {
  int rank = 0;               ///< that has it
  std::size_t place = 0;      ///< among its arrays
  std::size_t parameter = 0;  ///< by number
  std::size_t block = 0;      ///< by number
  std::size_t width = 0;      ///< of a scalar, in bytes
  std::string dtype{};        ///< as safetensors spells it
  std::vector<Index> shape{};
  std::string name{};  ///< BLOCK/FIELD

  std::size_t bytes() const {
    std::size_t count = width;
    for (const Index extent : shape) count *= static_cast<std::size_t>(extent);
    return count;
  }
};

/// The bytes of one message, at most.
inline constexpr std::size_t piece_size = std::size_t{1} << 20;

inline std::string described(const std::vector<interop::detail::StateArray>& arrays) {
  std::ostringstream text;
  for (const auto& [parameter, field] : arrays) {
    text << parameter << ' ' << field.scalar_size << ' ' << field.dtype << ' ' << field.shape.size();
    for (const Index extent : field.shape) text << ' ' << extent;
    text << ' ' << field.name << '\0';
  }
  return text.str();
}

/// The arrays of all ranks: the widest scalars first, then by parameter and block, as in one process.
/// Collective.
inline std::vector<SharedArray> shared_arrays(const Communicator& processes,
                                              const std::vector<interop::detail::StateArray>& own) {
  std::vector<SharedArray> all;
  const std::vector<std::string> texts = processes.gathered(described(own));
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    std::istringstream text(texts[rank]);
    std::size_t place = 0;
    for (std::string record; std::getline(text, record, '\0');) {
      std::istringstream words(record);
      SharedArray array{.rank = static_cast<int>(rank), .place = place++};
      std::size_t dimensions = 0;
      words >> array.parameter >> array.width >> array.dtype >> dimensions;
      array.shape.resize(dimensions);
      for (Index& extent : array.shape) words >> extent;
      words.get();
      std::getline(words, array.name, '\0');
      std::from_chars(array.name.data(), array.name.data() + array.name.size(), array.block);
      all.push_back(std::move(array));
    }
  }
  std::ranges::stable_sort(all, {},
                           [](const SharedArray& array) { return std::pair(array.parameter, array.block); });
  interop::detail::sort_by_width(all, [](const SharedArray& array) { return array.width; });
  return all;
}

inline std::vector<interop::TensorToSave> tensors_of(const std::vector<SharedArray>& arrays,
                                                     const symopt::detail::StateTable& table) {
  std::vector<interop::TensorToSave> tensors;
  for (const SharedArray& array : arrays)
    tensors.push_back({table.parameters[array.parameter].name + "/" + array.name, array.dtype, array.shape});
  return tensors;
}

/// Sends an array to rank 0, in pieces of piece_size and a last one.
inline void send_array(const Communicator& processes, const symopt::detail::StateField& field) {
  std::vector<std::byte> piece;
  const auto send = [&](std::size_t count) {
    MPI_Request request;
    require_success(MPI_Isend(piece.data(), as_count(count), MPI_BYTE, 0, 2, processes.get(), &request),
                    "send a state");
    processes.wait({&request, 1}, "send a state");
    piece.erase(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
  };
  interop::detail::for_each_packed_row(field, [&](std::span<const std::byte> row) {
    piece.insert(piece.end(), row.begin(), row.end());
    while (piece.size() >= piece_size) send(piece_size);
  });
  if (!piece.empty()) send(piece.size());
}

/// write(bytes, count) for those pieces, in order.
inline void receive_array(const Communicator& processes, const SharedArray& array, const auto& write) {
  std::vector<std::byte> piece(std::min(piece_size, array.bytes()));
  for (std::size_t left = array.bytes(); left > 0;) {
    const std::size_t count = std::min(piece_size, left);
    MPI_Request request;
    require_success(
        MPI_Irecv(piece.data(), as_count(count), MPI_BYTE, array.rank, 2, processes.get(), &request),
        "receive a state");
    processes.wait({&request, 1}, "receive a state");
    write(piece.data(), count);
    left -= count;
  }
}

}}}  // namespace symopt::mpi::detail
