// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/bfloat16.hpp>
#include <symopt/interop/mpi/communicator.hpp>
#include <symopt/memory/block_view.hpp>

#include <mpi.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace mpi::detail {

using symopt::detail::along_rows;
using symopt::detail::Axis;
using symopt::detail::BlockView;
using symopt::detail::orientation_of;

/// MPI's type of a number. A bfloat16 and a half of a float are two bytes that MPI need not add.
template <class Number>
MPI_Datatype number_type() {
  if constexpr (std::same_as<Number, float>) {
    return MPI_FLOAT;
  } else if constexpr (std::same_as<Number, double>) {
    return MPI_DOUBLE;
  } else {
    static_assert(std::same_as<Number, bfloat16> || std::same_as<Number, std::uint16_t>);
    return MPI_UINT16_T;
  }
}

/// A block with the axis first along which it lies in memory, where there is a choice.
template <class Number>
BlockView<Number> as_it_lies(const BlockView<Number>& block) {
  return along_rows(block, orientation_of(block));
}

/// MPI's type of a block where it lies, whatever its strides: one of them, from the block's first number on,
/// is the block. Nothing is copied to send it or to receive it.
class BlockType {
 public:
  template <class Number>
  explicit BlockType(const BlockView<Number>& view) {
    const BlockView<Number> block = as_it_lies(view);
    constexpr auto width = static_cast<MPI_Aint>(sizeof(Number));
    const MPI_Datatype row = along(block.cols, width, number_type<std::remove_const_t<Number>>());
    if (block.selected_rows == nullptr) {
      type_ = along(block.rows, width, row);
    } else {
      std::vector<MPI_Aint> places;
      for (Index i = 0; i < block.row_count(); ++i)
        places.push_back(block.rows.offset(block.selected_rows[i]) * width);
      MPI_Type_create_hindexed_block(as_count(places.size()), 1, places.data(), row, &type_);
    }
    MPI_Datatype inner = row;
    MPI_Type_free(&inner);
    require_success(MPI_Type_commit(&type_), "describe a block");
  }
  BlockType(BlockType&& other) noexcept : type_(std::exchange(other.type_, MPI_DATATYPE_NULL)) {}
  BlockType& operator=(BlockType&& other) noexcept {
    std::swap(type_, other.type_);
    return *this;
  }
  ~BlockType() {
    int is_finalized = 0;
    MPI_Finalized(&is_finalized);
    if (type_ != MPI_DATATYPE_NULL && !is_finalized) MPI_Type_free(&type_);
  }

  MPI_Datatype get() const { return type_; }

 private:
  static MPI_Datatype repeated(Index count, Index stride, MPI_Aint width, MPI_Datatype each) {
    MPI_Datatype type = MPI_DATATYPE_NULL;
    require_success(MPI_Type_create_hvector(as_count(static_cast<std::size_t>(count)), 1,
                                            static_cast<MPI_Aint>(stride) * width, each, &type),
                    "describe a block");
    return type;
  }
  static MPI_Datatype along(const Axis& axis, MPI_Aint width, MPI_Datatype each) {
    MPI_Datatype part = repeated(axis.part_size(), axis.stride, width, each);
    if (axis.parts == 1) return part;
    const MPI_Datatype whole = repeated(axis.parts, axis.part_stride, width, part);
    MPI_Type_free(&part);
    return whole;
  }

  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

}}}  // namespace symopt::mpi::detail
