// SPDX-License-Identifier: Apache-2.0
// A layout takes a tensor apart into blocks: every element where it was written by hand to be, none twice,
// none left out; and a tensor that it does not fit is refused with the remedy.
#include "support/storages.hpp"

#include <symopt/memory/block_view.hpp>
#include <symopt/memory/blocks.hpp>
#include <symopt/memory/row_mask.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

namespace layout_test { namespace {

using namespace symopt;
using namespace symopt_test;

using Blocks = std::vector<symopt::detail::BlockView<const double>>;
constexpr std::array orders{Order::dense, Order::gaps, Order::column_major, Order::backwards};

/// The elements that for_each_segment visits, by their indices in the block.
std::map<std::pair<Index, Index>, std::vector<const double*>> visited(
    const symopt::detail::BlockView<const double>& block) {
  std::map<std::pair<Index, Index>, std::vector<const double*>> elements;
  symopt::detail::for_each_segment(block, [&](Index i, Index j, const auto& segment) {
    for (Index k = 0; k < segment.size(); ++k)
      elements[{i, j + k}].push_back(segment.data() + k * segment.innerStride());
  });
  return elements;
}

/// The fault of a block whose element (i, j) should lie at place(i, j); empty when nothing is.
std::string fault_of(const symopt::detail::BlockView<const double>& block, Shape shape, const auto& place) {
  if (symopt::detail::shape_of(block) != shape)
    return "shape " + symopt::to_string(symopt::detail::shape_of(block));
  const auto elements = visited(block);
  if (static_cast<Index>(elements.size()) != shape.rows * shape.cols) return "number of elements";
  for (Index i = 0; i < shape.rows; ++i)
    for (Index j = 0; j < shape.cols; ++j) {
      const std::string here = " of (" + std::to_string(i) + ", " + std::to_string(j) + ")";
      const double* expected = place(i, j);
      if (block.row(i) + block.cols.offset(j) != expected) return "address" + here;
      if (elements.at({i, j}) != std::vector{expected}) return "segment" + here;
      if (block.has_contiguous_rows() && block.row(i) + j != expected) return "contiguity" + here;
      if (block.selected_rows != nullptr) continue;
      const symopt::detail::BlockView<const double> turned = block.transposed();
      if (turned.row(j) + turned.cols.offset(i) != expected) return "transposed address" + here;
    }
  return "";
}

std::string fault_of(const Blocks& blocks, const Storage& storage, const double* first,
                     const std::vector<Index>& strides) {
  if (blocks.size() != storage.blocks.size()) return "number of blocks";
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::string fault = fault_of(blocks[b], storage.blocks[b], [&](Index i, Index j) {
      return first + offset_of(storage.place(static_cast<Index>(b), i, j), strides);
    });
    if (!fault.empty()) return "block " + std::to_string(b) + ": " + fault;
  }
  return "";
}

/// The fault of blocks that are not a partition of the tensor; empty where they are.
std::string fault_of_cover(const Blocks& blocks, const Storage& storage, const double* first,
                           const std::vector<Index>& strides) {
  std::multiset<const double*> in_blocks;
  for (const auto& block : blocks)
    for (const auto& [index, addresses] : visited(block))
      in_blocks.insert(addresses.begin(), addresses.end());
  std::multiset<const double*> in_tensor;
  for (const Place& place : all_places(storage.sizes)) in_tensor.insert(first + offset_of(place, strides));
  if (std::ranges::adjacent_find(in_blocks) != in_blocks.end()) return "an element is in two blocks";
  return in_blocks == in_tensor ? "" : "the blocks are not the tensor";
}

/// The memory never matters here, only addresses in it.
std::string fault_of(const Storage& storage, const std::vector<Index>& strides, const Layout& layout) {
  Stored<double> tensor(storage, strides);
  const Blocks blocks = symopt::detail::blocks_of(std::as_const(tensor).view(), layout);
  const double* first = tensor.view().data();
  const std::string fault = fault_of(blocks, storage, first, strides);
  return fault.empty() ? fault_of_cover(blocks, storage, first, strides) : fault;
}

TEST_CASE("every layout finds every element in every order of memory") {
  for (const Storage& storage : all_storages())
    for (const Order order : orders) {
      CAPTURE(storage.name);
      CAPTURE(symopt_test::to_string(order));
      CHECK(fault_of(storage, strides_of(storage, order), storage.layout) == "");
    }
}

TEST_CASE("the comparison fails for another layout, and for blocks that overlap or leave a gap") {
  const std::vector<Storage> storages = all_storages();
  for (const Storage& storage : storages)
    for (const Storage& other : storages) {
      if (other.layout == storage.layout || other.sizes != storage.sizes) continue;
      CAPTURE(storage.name);
      CAPTURE(other.name);
      CHECK(fault_of(storage, strides_of(storage, Order::dense), other.layout) != "");
    }

  const Storage heads = storages[2];
  const std::vector<Index> strides = strides_of(heads, Order::dense);
  const Stored<double> tensor(heads, strides);
  const double* first = tensor.view().data();
  Blocks blocks = symopt::detail::blocks_of(tensor.view(), heads.layout);
  CHECK(fault_of_cover(blocks, heads, first, strides) == "");
  blocks[1].data -= 1;
  CHECK(fault_of_cover(blocks, heads, first, strides) == "an element is in two blocks");
  blocks.erase(blocks.begin() + 1);
  CHECK(fault_of_cover(blocks, heads, first, strides) == "the blocks are not the tensor");
}

TEST_CASE("what is written through a block arrives in the tensor and nowhere else") {
  for (const Storage& storage : all_storages())
    for (const Order order : orders) {
      CAPTURE(storage.name);
      CAPTURE(symopt_test::to_string(order));
      Stored<float> tensor(storage, order);
      const auto blocks = symopt::detail::blocks_of(tensor.view(), storage.layout);
      for (std::size_t b = 0; b < blocks.size(); ++b)
        symopt::detail::for_each_segment(blocks[b], [&](Index i, Index j, auto&& segment) {
          for (Index k = 0; k < segment.size(); ++k)
            segment[k] = static_cast<float>(10000 * Index(b) + 100 * i + j + k);
        });
      for (std::size_t b = 0; b < blocks.size(); ++b) {
        const Shape shape = storage.blocks[b];
        const Matrix<float> expected = Matrix<float>::NullaryExpr(
            shape.rows, shape.cols,
            [&](Index i, Index j) { return static_cast<float>(10000 * Index(b) + 100 * i + j); });
        CHECK(tensor.block(b) == expected);
      }
      CHECK(tensor.surroundings_are_intact());
    }
}

TEST_CASE("a kernel whose channels run fastest is a matrix where only one of its dimensions counts") {
  // The strides that trainers give a kernel of one point in this order: those of its lines of one element are
  // neither 1 nor used.
  const Storage point{
      "kernel of one point", {6, 4, 1, 1}, layout::as_matrix(), {{6, 4}}, [](Index, Index i, Index j) {
        return Place{i, j, 0, 0};
      }};
  CHECK(fault_of(point, {4, 1, 4, 4}, point.layout) == "");
  CHECK(fault_of(point, {9, 2, 77, 5}, point.layout) == "");

  const Storage row{
      "kernel of one row", {3, 1, 4, 1}, layout::as_matrix(), {{3, 4}}, [](Index, Index i, Index j) {
        return Place{i, 0, j, 0};
      }};
  CHECK(fault_of(row, {4, 1, 1, 1}, row.layout) == "");
  CHECK(fault_of(row, {8, 77, 2, 5}, row.layout) == "");

  const Storage channel{
      "kernel of one channel", {3, 1, 2, 2}, layout::as_matrix(), {{3, 4}}, [](Index, Index i, Index j) {
        return Place{i, 0, j / 2, j % 2};
      }};
  CHECK(fault_of(channel, {4, 1, 2, 1}, channel.layout) == "");

  const Storage single{
      "kernel of one element a row", {3, 1, 1}, layout::as_matrix(), {{3, 1}}, [](Index, Index i, Index) {
        return Place{i, 0, 0};
      }};
  CHECK(fault_of(single, {2, 9, 5}, single.layout) == "");
}

TEST_CASE("tensors without elements have empty blocks or none") {
  double element = 0;
  CHECK(symopt::detail::blocks_of(TensorView<double>(&element, {0, 6, 4}), layout::experts()).empty());
  CHECK(symopt::detail::blocks_of(TensorView<double>(&element, {0, 6}), layout::whole()).size() == 1);
  CHECK(symopt::detail::blocks_of(TensorView<double>(&element, {0, 6}), layout::row_heads(2)).size() == 2);
  const auto sections =
      symopt::detail::blocks_of(TensorView<double>(&element, {1, 1}), layout::row_sections({0, 1, 0}));
  REQUIRE(sections.size() == 3);
  CHECK(symopt::detail::shape_of(sections[0]) == Shape{0, 1});
  CHECK(symopt::detail::shape_of(sections[1]) == Shape{1, 1});
  CHECK(symopt::detail::shape_of(sections[2]) == Shape{0, 1});
  for (const Neurons neurons : {Neurons::apart, Neurons::paired})
    for (const auto& block : symopt::detail::blocks_of(TensorView<double>(&element, {0, 3}),
                                                       layout::gate_up(GateUp::concatenated, neurons))) {
      CHECK(block.row_count() == 0);
      CHECK(visited(block).empty());
    }
  for (const auto& block :
       symopt::detail::blocks_of(TensorView<double>(&element, {4, 0, 3}), layout::as_matrix()))
    CHECK(symopt::detail::shape_of(block) == Shape{4, 0});
}

TEST_CASE("Eigen's matrices, maps, blocks and vectors are tensors") {
  Matrix<double> rows(4, 6);
  Eigen::MatrixXd columns(4, 6);
  const auto is_at = [](const TensorView<double>& tensor, const auto& block) {
    const auto blocks = symopt::detail::blocks_of(tensor, layout::row_heads(2));
    return blocks.size() == 2 && blocks[1].row(1) + blocks[1].cols.offset(2) == &block(3, 2);
  };
  CHECK(is_at(TensorView<double>(rows), rows));
  CHECK(is_at(TensorView<double>(columns), columns));
  auto part = columns.block(0, 1, 4, 4);
  CHECK(is_at(TensorView<double>(part), part));
  CHECK(is_at(TensorView<double>(columns.block(0, 1, 4, 4)), part));
  CHECK(is_at(TensorView<double>(Eigen::Map<Matrix<double>>(rows.data(), 4, 6)), rows));
  Eigen::VectorXd vector(5);
  CHECK(TensorView<double>(vector).dimensions() == 1);
  const TensorView<double> segment(vector.segment(1, 3));
  CHECK(segment.data() == &vector(1));
  CHECK(segment.sizes() == std::vector<Index>{3});
  CHECK(TensorView<const double>(rows.col(2).head(3)).strides() == std::vector<Index>{6});
  static_assert(!std::constructible_from<TensorView<double>, Matrix<double>>, "its memory would be gone");
}

// Errors.

std::string refusal(const auto& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// The message for a dense tensor of these sizes under a layout that does not fit it.
std::string refusal(const std::vector<Index>& sizes, const Layout& layout) {
  const std::vector<double> memory(1000);
  return refusal(
      [&] { symopt::detail::blocks_of(TensorView<const double>(memory.data(), sizes), layout, "the.name"); });
}

void check_refused(const std::vector<Index>& sizes, const Layout& layout, const std::string& shape,
                   const std::vector<std::string>& remedy) {
  const std::string text = refusal(sizes, layout);
  CAPTURE(symopt::to_string(layout));
  CAPTURE(text);
  CHECK(text.starts_with("symopt: parameter 'the.name' of shape " + shape + ": "));
  for (const std::string& word : remedy) {
    CAPTURE(word);
    CHECK(text.find(word) != std::string::npos);
  }
}

TEST_CASE("what fits is not refused") {
  CHECK(refusal({6, 4}, layout::whole()) == "");
  CHECK(refusal({2, 6, 4}, layout::experts(layout::row_heads(3))) == "");
}

TEST_CASE("dimensions that no level accounts for are refused") {
  check_refused({3, 6, 4}, layout::whole(), "3x6x4", {"layout::experts()", "layout::as_matrix()"});
  check_refused({3, 6, 4}, layout::row_heads(2), "3x6x4", {"layout::experts()"});
  check_refused({6, 2, 3, 3}, layout::whole(), "6x2x3x3", {"layout::as_matrix()"});
  check_refused({2, 6, 2, 3, 3}, layout::experts(), "2x6x2x3x3", {"layout::as_matrix()"});
  check_refused({7}, layout::whole(), "7", {"needs a matrix", "AdamW"});
  check_refused({}, layout::whole(), "scalar", {"needs a matrix", "AdamW"});
  check_refused({7}, layout::as_matrix(), "7", {"layout::as_matrix()", "at least two dimensions"});
  check_refused({6, 4}, layout::experts(), "6x4", {"experts", "at least three dimensions"});
  check_refused({6}, layout::experts(), "6", {"experts", "at least three dimensions"});
}

TEST_CASE("levels in an order that cannot be are refused") {
  const char* const remedy = "goes outside the levels that act on a matrix";
  check_refused({6, 4}, layout::row_heads(2, layout::experts()), "6x4", {"layout::experts", remedy});
  check_refused({3, 6, 4}, layout::transposed(layout::experts()), "3x6x4", {"layout::experts", remedy});
  check_refused({3, 6, 4}, layout::as_matrix(layout::experts()), "3x6x4", {"layout::experts", remedy});
  check_refused({6, 4}, layout::transposed(layout::as_matrix()), "6x4", {"layout::as_matrix", remedy});
  check_refused({6, 2, 3, 3}, layout::row_heads(2, layout::as_matrix()), "6x2x3x3",
                {"layout::as_matrix", remedy});
}

TEST_CASE("heads that do not divide are refused") {
  const char* const remedy = "count the heads of this tensor";
  check_refused({10, 4}, layout::row_heads(4), "10x4", {"4 heads", "10 lines", remedy});
  check_refused({4, 10}, layout::column_heads(4), "4x10", {"4 heads", "10 lines", remedy});
  check_refused({2, 10, 4}, layout::experts(layout::row_heads(3)), "2x10x4", {"3 heads", remedy});
  check_refused({4, 10}, layout::transposed(layout::row_heads(4)), "4x10", {"4 heads", "10 lines", remedy});
  check_refused({10, 4}, layout::row_heads(0), "10x4", {"0 heads", remedy});
  check_refused({10, 4}, layout::row_heads(-2), "10x4", {"-2 heads", remedy});
  check_refused({10, 4}, layout::column_heads(-1), "10x4", {"-1 heads", remedy});
}

TEST_CASE("sections of another sum are refused") {
  check_refused({12, 4}, layout::row_sections({2, 6}), "12x4", {"sections 2 6", "do not add up", "12 rows"});
  check_refused({12, 4}, layout::row_sections({2, 6, 5}), "12x4", {"sections 2 6 5", "12 rows"});
  check_refused({12, 4}, layout::row_sections({}), "12x4", {"do not add up", "12 rows"});
  check_refused({12, 4}, layout::row_sections({-2, 14}), "12x4", {"sections -2 14", "12 rows"});
  check_refused({12, 4}, layout::row_sections({14, -2}), "12x4", {"sections 14 -2", "12 rows"});
  check_refused({12, 4}, layout::fused_qkv(4, 2, 2), "12x4", {"sections 8 4 4", "12 rows"});
}

TEST_CASE("gate and up matrices with an odd number of rows are refused") {
  for (const GateUp order : {GateUp::concatenated, GateUp::interleaved})
    for (const Neurons neurons : {Neurons::apart, Neurons::paired}) {
      check_refused({7, 4}, layout::gate_up(order, neurons), "7x4",
                    {"even number of rows", "7", "transposed"});
      check_refused({2, 4, 7}, layout::experts(layout::transposed(layout::gate_up(order, neurons))), "2x4x7",
                    {"even number of rows", "7", "transposed"});
    }
}

TEST_CASE("paired neurons are not taken apart further") {
  const auto paired = [](const Layout& inner) {
    return layout::gate_up(GateUp::concatenated, Neurons::paired, inner);
  };
  const char* const remedy = "pair them last";
  check_refused({8, 4}, paired(layout::column_heads(2)), "8x4", {remedy});
  check_refused({8, 4}, paired(layout::gate_up(GateUp::interleaved, Neurons::apart)), "8x4", {remedy});
  check_refused({8, 4}, paired(paired({})), "8x4", {remedy});
  check_refused({8, 4}, paired(layout::transposed(layout::row_sections({4, 4}))), "8x4", {remedy});
}

TEST_CASE("a kernel with gaps between its dimensions is refused") {
  const std::vector<double> memory(1000);
  const auto text = [&](std::vector<Index> sizes, std::vector<Index> strides) {
    return refusal([&] {
      symopt::detail::blocks_of(TensorView<const double>(memory.data(), std::move(sizes), std::move(strides)),
                                layout::as_matrix(), "conv");
    });
  };
  const std::string expected =
      "symopt: parameter 'conv' of shape 6x2x3x3: layout::as_matrix() needs the dimensions after the first "
      "in their order (not channels last) and without gaps between them";
  CHECK(text({6, 2, 3, 3}, {18, 9, 3, 1}) == "");
  CHECK(text({6, 2, 3, 3}, {20, 9, 3, 1}) == "");  // a gap after the row is none within it
  CHECK(text({6, 2, 3, 3}, {36, 18, 6, 2}) == "");
  CHECK(text({6, 2, 3, 3}, {24, 12, 4, 1}) == expected);
  CHECK(text({6, 2, 3, 3}, {20, 10, 3, 1}) == expected);
  CHECK(text({6, 2, 3, 3}, {18, 1, 6, 2}) == expected);  // channels run fastest
}

TEST_CASE("a tensor with a negative size, or as many strides as sizes not given, is refused") {
  double element = 0;
  CHECK(refusal([&] { TensorView<double>(&element, {3, -2}); }).find("3x-2") != std::string::npos);
  CHECK(refusal([&] {
          TensorView<double>(&element, {3, 2}, {1});
        }).find("2 dimensions") != std::string::npos);
}

// Layouts as values.

TEST_CASE("layouts are equal when all their levels are") {
  CHECK(layout::whole() == Layout{});
  CHECK(layout::row_heads(3) == layout::row_heads(3));
  CHECK(layout::row_heads(3) != layout::row_heads(4));
  CHECK(layout::row_heads(3) != layout::column_heads(3));
  CHECK(layout::row_sections({1, 2}) != layout::row_sections({2, 1}));
  CHECK(layout::fused_qkv(4, 2, 2) == layout::row_sections({8, 4, 4}));
  CHECK(layout::experts() != layout::experts(layout::transposed()));
  CHECK(layout::row_heads(2, layout::transposed()) != layout::transposed(layout::row_heads(2)));
  CHECK(layout::gate_up(GateUp::concatenated, Neurons::apart) !=
        layout::gate_up(GateUp::interleaved, Neurons::apart));
  CHECK(layout::gate_up(GateUp::concatenated, Neurons::apart) !=
        layout::gate_up(GateUp::concatenated, Neurons::paired));
}

TEST_CASE("layouts print as their levels from the outermost inwards") {
  const auto text = [](const Layout& layout) { return symopt::to_string(layout); };
  CHECK(text(layout::whole()) == "whole");
  CHECK(text(layout::experts()) == "experts");
  CHECK(text(layout::as_matrix()) == "as matrix");
  CHECK(text(layout::transposed()) == "transposed");
  CHECK(text(layout::row_heads(16)) == "16 row heads");
  CHECK(text(layout::column_heads(8)) == "8 column heads");
  CHECK(text(layout::fused_qkv(4, 2, 8)) == "sections 32 16 16");
  CHECK(text(layout::experts(layout::transposed(layout::gate_up(GateUp::interleaved, Neurons::paired)))) ==
        "experts, transposed, gate/up interleaved, paired");
  CHECK(text(layout::gate_up(GateUp::concatenated, Neurons::apart, layout::row_heads(2))) ==
        "gate/up concatenated, apart, 2 row heads");
}

// Rows that exist.

/// The fault of the rows of a 5x3 block that a mask shows; empty when they are the given ones.
std::string fault_of_mask(const RowMask& mask, const std::vector<Index>& rows) {
  const std::vector<double> memory(100);
  const symopt::detail::Axis rows_axis{5, 7}, cols_axis{3, 2};
  return fault_of(mask.existing(symopt::detail::BlockView<const double>(memory.data(), rows_axis, cols_axis)),
                  {static_cast<Index>(rows.size()), 3}, [&](Index i, Index j) {
                    return memory.data() + 7 * rows[static_cast<std::size_t>(i)] + 2 * j;
                  });
}

TEST_CASE("a mask shows the rows that exist") {
  CHECK(fault_of_mask(RowMask(), {0, 1, 2, 3, 4}) == "");
  CHECK(fault_of_mask(RowMask::first(5), {0, 1, 2, 3, 4}) == "");
  CHECK(fault_of_mask(RowMask::first(2), {0, 1}) == "");
  CHECK(fault_of_mask(RowMask::first(0), {}) == "");
  CHECK(fault_of_mask(RowMask({true, true, true, true, true}), {0, 1, 2, 3, 4}) == "");
  CHECK(fault_of_mask(RowMask({true, true, false, false, false}), {0, 1}) == "");
  CHECK(fault_of_mask(RowMask({false, false, false, false, false}), {}) == "");
  CHECK(fault_of_mask(RowMask({true, false, true, false, true}), {0, 2, 4}) == "");
  CHECK(fault_of_mask(RowMask({false, true, true, true, true}), {1, 2, 3, 4}) == "");
  CHECK(fault_of_mask(RowMask({false, false, false, false, true}), {4}) == "");

  CHECK(fault_of_mask(RowMask::first(2), {0, 2}) != "");
  CHECK(fault_of_mask(RowMask({true, false, true, false, true}), {0, 1, 2}) != "");
}

TEST_CASE("a mask selects lines of every layout") {
  for (const Storage& storage : all_storages())
    for (const Order order : orders) {
      CAPTURE(storage.name);
      CAPTURE(symopt_test::to_string(order));
      const Stored<double> tensor(storage, order);
      const auto strides = strides_of(storage, order);
      const Blocks blocks = symopt::detail::blocks_of(tensor.view(), storage.layout);
      for (std::size_t b = 0; b < blocks.size(); ++b) {
        const Shape shape = storage.blocks[b];
        std::vector<bool> exists(static_cast<std::size_t>(shape.rows), true);
        exists[0] = false;
        const RowMask all_but_one(exists);
        const auto place = [&](Index i, Index j) {
          return tensor.view().data() + offset_of(storage.place(Index(b), i, j), strides);
        };
        CHECK(fault_of(all_but_one.existing(blocks[b]), {shape.rows - 1, shape.cols},
                       [&](Index i, Index j) { return place(i + 1, j); }) == "");
      }
    }
}

TEST_CASE("a mask knows whether the rows that exist come first") {
  CHECK(RowMask().is_all());
  CHECK(RowMask().is_prefix());
  CHECK(!RowMask::first(3).is_all());
  CHECK(RowMask::first(3).is_prefix());
  CHECK(RowMask({true, true, false}).is_prefix());
  CHECK(RowMask({true, true, true}).is_prefix());
  CHECK(RowMask({false, false}).is_prefix());
  CHECK(!RowMask({true, false, true}).is_prefix());
  CHECK(!RowMask({false, true}).is_prefix());
}

TEST_CASE("masks are equal when they say the same in the same words") {
  CHECK(RowMask() == RowMask());
  CHECK(RowMask::first(2) == RowMask::first(2));
  CHECK(RowMask::first(2) != RowMask::first(3));
  CHECK(RowMask::first(2) != RowMask());
  CHECK(RowMask({true, false, true}) != RowMask({true, true, false}));
  CHECK(RowMask({true, false}) != RowMask({true, false, false}));
  CHECK(RowMask().to_string() == "");
  CHECK(RowMask::first(50257).to_string() == "50257 rows exist");
  CHECK(RowMask({true, false, true}).to_string() == "2 rows exist");
  CHECK(RowMask::first(1).to_string() == "1 row exists");
}

TEST_CASE("a mask for other blocks is refused") {
  const auto text = [](const RowMask& mask, Index rows) {
    return refusal([&] { mask.validate("head", symopt::detail::Axis{rows}); });
  };
  CHECK(text(RowMask(), 4) == "");
  CHECK(text(RowMask::first(4), 4) == "");
  CHECK(text(RowMask::first(0), 4) == "");
  CHECK(text(RowMask({true, false, true, false}), 4) == "");
  CHECK(text(RowMask::first(5), 4) ==
        "symopt: parameter 'head': the row mask says that 5 rows exist but a block has 4 rows");
  CHECK(text(RowMask::first(2), 1) ==
        "symopt: parameter 'head': the row mask says that 2 rows exist but the block has 1 row");
  CHECK(text(RowMask({true, false, true}), 4) ==
        "symopt: parameter 'head': the row mask is for 3 rows but a block has 4 rows");
  CHECK(text(RowMask({true, false, true, false, false}), 4) ==
        "symopt: parameter 'head': the row mask is for 5 rows but a block has 4 rows");
  const symopt::detail::Axis parts{8, 1, 2, 10};
  for (const RowMask& mask : {RowMask::first(2), RowMask({true, false, true, true, true, true, true, true})})
    CHECK(refusal([&] {
            mask.validate("up", parts);
          }).find("parameter 'up': a row mask needs rows of even spacing") != std::string::npos);
  CHECK(refusal([&] { RowMask().validate("up", parts); }) == "");
  CHECK(refusal([] { RowMask::first(-1); }).find("negative number of rows") != std::string::npos);
}

}}  // namespace layout_test
