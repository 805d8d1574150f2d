// SPDX-License-Identifier: Apache-2.0
// How one element moves the parameters that follow it: along every axis, in copies and blocks of lines, in
// any memory; and what is refused before anything is computed.
#include <symopt/check.hpp>
#include <symopt/group/algebra.hpp>
#include <symopt/group/head_rotations.hpp>
#include <symopt/group/signed_permutation.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace model_motion_test { namespace {

using namespace symopt;
using namespace symopt::check;
using check::detail::JointMotion;
using check::detail::Tensors;

/// Tensors by name, with gradients, in memory of their own.
class Memory {
 public:
  Memory& add(std::string name, std::vector<Index> sizes) {
    names_.push_back(std::move(name));
    sizes_.push_back(std::move(sizes));
    return *this;
  }
  Model<double> model() {
    std::mt19937_64 engine(5);
    std::vector<NamedTensor<double>> tensors;
    values_.clear();
    for (std::size_t t = 0; t < names_.size(); ++t) {
      Index count = 1;
      for (const Index size : sizes_[t]) count *= size;
      values_.push_back(gaussian<double>({2, count}, engine));
      tensors.push_back({names_[t], TensorView<double>(values_[t].data(), sizes_[t]),
                         TensorView<const double>(values_[t].data() + count, sizes_[t])});
    }
    return {std::move(tensors), [] { return 0.0; }};
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<Index>> sizes_;
  std::vector<Matrix<double>> values_;
};

/// Weights and gradients of a model, before and after an element of a symmetry, and the element.
struct Moved {
  Tensors weights, gradients, moved_weights, moved_gradients;
  ModelElement element;
};
Moved moved(const Model<double>& model, const ModelSymmetry& symmetry) {
  const check::detail::ErasedModel<double> any(model);
  const auto axes = check::detail::moved_axes(any, symmetry);
  std::mt19937_64 engine(7);
  const JointMotion motion(axes, check::detail::drawn_element(symmetry, axes, engine));
  return {any.weights(), any.gradients(), motion.on_weights(any.weights()),
          motion.on_gradients(any.gradients()), motion.element()};
}
/// The element as a matrix.
Matrix<double> matrix_of(const ModelElement& g) {
  return g(Matrix<double>::Identity(g.size(), g.size()));
}
Matrix<double> block(const std::vector<double>& entries, Index begin, Index rows, Index cols) {
  return Eigen::Map<const Matrix<double>>(entries.data() + begin, rows, cols);
}
/// Its inverse.
Matrix<double> inverse_of(const ModelElement& g) {
  const Matrix<double> inverse = check::detail::converted<double>(
      check::detail::transpose(g.on_weights(check::detail::unit_matrix(g.size()), true)));
  CHECK((inverse * matrix_of(g) - Matrix<double>::Identity(g.size(), g.size())).norm() < 1e-13);
  return inverse;
}
double difference(const Matrix<double>& a, const Matrix<double>& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  return (a - b).norm() / (1 + b.norm());
}

TEST_CASE("rows, columns and their duals by an invertible matrix, and the gradients by the contragredient") {
  Memory memory;
  const Model<double> model = memory.add("r", {3, 4})
                                  .add("c", {5, 3})
                                  .add("dr", {3, 2})
                                  .add("dc", {4, 3})
                                  .add("b", {3, 3})
                                  .add("v", {3})
                                  .model();
  const Moved m = moved(model, symmetry("s")
                                   .rows("r", "v")
                                   .columns("c")
                                   .dual_rows("dr")
                                   .dual_columns("dc")
                                   .both("b")
                                   .by<algebra::Full>(3, 10));
  const Matrix<double> g = matrix_of(m.element);
  const Matrix<double> back = inverse_of(m.element);
  const auto is_moved = [&](std::size_t t, Index rows, Index cols, const auto& weights,
                            const auto& gradient) {
    CHECK(difference(block(m.moved_weights[t], 0, rows, cols), weights(block(m.weights[t], 0, rows, cols))) <
          1e-14);
    CHECK(difference(block(m.moved_gradients[t], 0, rows, cols),
                     gradient(block(m.gradients[t], 0, rows, cols))) < 1e-14);
    double before = 0, after = 0;  // gradients are moved so that they measure the same change
    for (std::size_t k = 0; k < m.weights[t].size(); ++k) {
      before += m.weights[t][k] * m.gradients[t][k];
      after += m.moved_weights[t][k] * m.moved_gradients[t][k];
    }
    CHECK(after == doctest::Approx(before).epsilon(1e-12));
  };
  using Block = const Matrix<double>&;
  const auto left = [&](Block w) -> Matrix<double> { return g * w; };
  const auto left_dual = [&](Block w) -> Matrix<double> { return back.transpose() * w; };
  const auto right = [&](Block w) -> Matrix<double> { return w * back; };
  const auto right_dual = [&](Block w) -> Matrix<double> { return w * g.transpose(); };
  is_moved(0, 3, 4, left, left_dual);
  is_moved(1, 5, 3, right, right_dual);
  is_moved(2, 3, 2, left_dual, left);
  is_moved(3, 4, 3, right_dual, right);
  is_moved(
      4, 3, 3, [&](Block w) -> Matrix<double> { return g * w * back; },
      [&](Block w) -> Matrix<double> { return back.transpose() * w * g.transpose(); });
  is_moved(5, 3, 1, left, left_dual);
}

TEST_CASE("slices, and rows and columns of every slice") {
  Memory memory;
  const Model<double> model = memory.add("experts", {4, 3, 2}).add("router", {4, 2}).model();
  const Moved m = moved(model, symmetry("experts").slices("experts").rows("router").by<Permutation>(4));
  const std::vector<Index> images = m.element.images();
  for (Index e = 0; e < 4; ++e) {
    const Index place = images[static_cast<std::size_t>(e)];
    CHECK(block(m.moved_weights[0], 6 * place, 3, 2) == block(m.weights[0], 6 * e, 3, 2));
    CHECK(block(m.moved_weights[1], 2 * place, 1, 2) == block(m.weights[1], 2 * e, 1, 2));
  }
  const Moved r = moved(model, symmetry("rows").rows("experts").by<Orthogonal>(3));
  const Moved c = moved(model, symmetry("columns").columns("experts", "router").by<Orthogonal>(2));
  for (Index e = 0; e < 4; ++e) {
    CHECK(difference(block(r.moved_weights[0], 6 * e, 3, 2),
                     matrix_of(r.element) * block(r.weights[0], 6 * e, 3, 2)) < 1e-15);
    CHECK(difference(block(c.moved_weights[0], 6 * e, 3, 2),
                     block(c.weights[0], 6 * e, 3, 2) * matrix_of(c.element).transpose()) < 1e-15);
  }
  CHECK(r.moved_weights[1] == r.weights[1]);
}

TEST_CASE("copies, blocks and parts of an axis") {
  Memory memory;  // 2 heads of 3 lines, each twice, between 1 line and 2 that do not move
  const Model<double> model = memory.add("q", {15, 2}).add("k", {2, 15}).model();
  const Lines lines{.copies = 2, .block = 3, .before = 1, .after = 2};
  const Moved m = moved(model, symmetry("heads").rows(lines, "q").columns(lines, "k").by<Permutation>(2));
  const std::vector<Index> images = m.element.images();
  for (Index row = 0; row < 15; ++row) {
    Index place = row;
    if (row >= 1 && row < 13) {
      const Index in_copy = (row - 1) % 6, copy = (row - 1) / 6;
      place = 1 + 6 * copy + 3 * images[static_cast<std::size_t>(in_copy / 3)] + in_copy % 3;
    }
    CHECK(block(m.moved_weights[0], 2 * place, 1, 2) == block(m.weights[0], 2 * row, 1, 2));
    for (Index i = 0; i < 2; ++i)
      CHECK(m.moved_weights[1][static_cast<std::size_t>(15 * i + place)] ==
            m.weights[1][static_cast<std::size_t>(15 * i + row)]);
  }
  // Parts of one tensor may follow apart from each other: the queries and the keys of a fused one.
  const Moved fused = moved(model, symmetry("planes")
                                       .rows(Lines{.after = 11}, "q")
                                       .dual_rows(Lines{.before = 4, .after = 7}, "q")
                                       .by<algebra::Planes<algebra::Pairing::halves>>(4));
  const Matrix<double> g = matrix_of(fused.element);
  CHECK(difference(block(fused.moved_weights[0], 0, 4, 2), g * block(fused.weights[0], 0, 4, 2)) < 1e-14);
  CHECK(difference(block(fused.moved_weights[0], 8, 4, 2),
                   inverse_of(fused.element).transpose() * block(fused.weights[0], 8, 4, 2)) < 1e-14);
  CHECK(block(fused.moved_weights[0], 16, 7, 2) == block(fused.weights[0], 16, 7, 2));
}

TEST_CASE("a shift adds one line, by rows and by columns, and leaves gradients alone") {
  Memory memory;
  const Model<double> model = memory.add("head", {4, 3}).add("turned", {3, 4}).model();
  const Moved m = moved(model, symmetry("shift").rows("head").columns("turned").by<Shift>(4));
  const Matrix<double> rows = block(m.moved_weights[0], 0, 4, 3) - block(m.weights[0], 0, 4, 3);
  const Matrix<double> columns = block(m.moved_weights[1], 0, 3, 4) - block(m.weights[1], 0, 3, 4);
  for (Index i = 0; i < 4; ++i) {
    CHECK(difference(rows.row(i), rows.row(0)) < 1e-15);
    CHECK(difference(columns.col(i).transpose(), rows.row(0)) < 1e-15);
  }
  CHECK(rows.norm() > 0.1);
  CHECK(m.moved_gradients == m.gradients);
}

TEST_CASE("weights in any memory: strided, column-major, turned around, empty") {
  Matrix<double> memory = Matrix<double>::Zero(6, 8);
  for (Index k = 0; k < memory.size(); ++k) memory.data()[k] = static_cast<double>(k);
  const std::vector<double> gradient(24, 1);
  const TensorView<const double> g(gradient.data(), {2, 3});
  const Model<double> model({{"column-major", TensorView<double>(memory.data(), {2, 3}, {8, 16}), g},
                             {"backwards", TensorView<double>(memory.data() + 47, {2, 3}, {-8, -2}), g},
                             {"vector", TensorView<double>(memory.data() + 7, {3}, {8}),
                              TensorView<const double>(gradient.data(), {3})},
                             {"empty", TensorView<double>(memory.data(), {0, 3}),
                              TensorView<const double>(gradient.data(), {0, 3})}},
                            [] { return 0; });
  const check::detail::ErasedModel<double> any(model);
  const Tensors weights = any.weights();
  CHECK(weights[0] == std::vector<double>{0, 16, 32, 8, 24, 40});
  CHECK(weights[1] == std::vector<double>{47, 45, 43, 39, 37, 35});
  CHECK(weights[2] == std::vector<double>{7, 15, 23});
  CHECK(weights[3].empty());
  Tensors others = weights;
  for (double& entry : others[1]) entry = -entry;
  any.set_weights(others);
  CHECK(any.weights() == others);
  CHECK(memory(5, 7) == -47);
  CHECK(memory(5, 6) == 46);
}

TEST_CASE("the elements of groups and algebras, as permutations and as functions of data") {
  Memory memory;
  const Model<double> model = memory.add("w", {4, 2}).model();
  const Moved p = moved(model, symmetry("s").rows("w").by<Permutation>(4));
  const Matrix<double> data = Matrix<double>::Random(4, 3);
  for (Index i = 0; i < 4; ++i)
    CHECK(p.element(data).row(p.element.images()[static_cast<std::size_t>(i)]) == data.row(i));
  CHECK_THROWS_WITH_AS(p.element(Matrix<double>::Zero(3, 1)), doctest::Contains("4 rows, and these have 3"),
                       Error);
  const Moved turned = moved(model, symmetry("s").rows("w").by<HeadRotations<Side::left, 2>>(4));
  CHECK_THROWS_WITH_AS(turned.element.images(), doctest::Contains("no permutation"), Error);
  CHECK_THROWS_AS(moved(model, symmetry("s").rows("w").by<SignedPermutation>(4)).element.images(), Error);
  const Matrix<double> rotation =
      matrix_of(moved(model, symmetry("s").rows("w").by<algebra::Planes<>>(4, 1)).element);
  CHECK(difference(rotation.transpose() * rotation, Matrix<double>::Identity(4, 4)) < 1e-15);
  const Matrix<double> positive =
      matrix_of(moved(model, symmetry("s").rows("w").by_positive<algebra::Diagonal>(4, 50)).element);
  CHECK(positive.diagonal().minCoeff() > 0);
  CHECK(positive.diagonal().maxCoeff() / positive.diagonal().minCoeff() == doctest::Approx(50));
}

TEST_CASE("what does not fit is refused in a sentence") {
  Memory memory;
  const Model<double> model =
      memory.add("layers.0.up", {6, 4}).add("layers.0.down", {4, 6}).add("head", {5, 3}).model();
  const auto refuses = [&](const ModelSymmetry& s, const std::string& sentence) {
    CHECK_THROWS_WITH_AS(check_model(model, {s}), doctest::Contains(sentence.c_str()), Error);
  };
  refuses(
      symmetry("turn").rows("layers.0.upp").by<Orthogonal>(6),
      "'turn' names 'layers.0.upp', and the model has no such parameter; the nearest name is 'layers.0.up'");
  refuses(symmetry("turn").rows("layers.*.up").columns("layers.*.gate").by<Orthogonal>(6),
          "names 'layers.*.gate'");
  refuses(symmetry("turn").rows("layers.0.up").by<Orthogonal>(4),
          "parameter 'layers.0.up' of shape 6x4: cannot follow the symmetry 'turn' by its rows, which have "
          "to be 4 "
          "lines, for 4 coordinates");
  refuses(symmetry("turn").rows(Lines{.copies = 2, .before = 1}, "layers.0.up").by<Orthogonal>(3),
          "7 lines, for 3 coordinates in 2 copies and 1 beside them");
  refuses(symmetry("turn").slices("head").by<Orthogonal>(5), "three dimensions or more");
  refuses(symmetry("turn").rows("layers.*.up", "layers.0.*").by<Orthogonal>(6),
          "twice by its rows; name it once");
  refuses(symmetry("turn").rows("head"), "has no elements; say by<");
  refuses(symmetry("turn").by<Orthogonal>(5), "moves nothing");
  refuses(symmetry("turn").rows("head").by<Orthogonal>(0), "moves nothing");
  refuses(symmetry("shift").rows("layers.0.up").columns("layers.0.down", "head").by<Shift>(6),
          "by its columns");
  refuses(symmetry("shift").rows("layers.0.up").rows(Lines{.before = 1}, "layers.0.down").by<Shift>(3),
          "by its rows");

  std::vector<NamedTensor<double>> tensors = model.parameters();
  const auto refuses_model = [&](const std::string& sentence) {
    const Model<double> broken(tensors, [] { return 0.0; });
    CHECK_THROWS_WITH_AS(check_model(broken, {}), doctest::Contains(sentence.c_str()), Error);
  };
  tensors[1].name = "head";
  refuses_model("parameter 'head': is given twice");
  tensors[1].name = "down";
  tensors[1].gradient = tensors[0].gradient;
  refuses_model("parameter 'down': the gradient is 6x4 and the weights are 4x6");
  tensors[1].gradient.reset();
  refuses_model("parameter 'down': a model that is checked needs the memory of all gradients");
  tensors.clear();
  refuses_model("needs parameters");
  CHECK_THROWS_WITH_AS(
      check_model(model, {symmetry("s").rows("head").by<Permutation>(5)}, [] { return [] {}; }, {.steps = 0}),
      doctest::Contains("steps is not positive"), Error);
}

TEST_CASE("lines of two lengths cannot be shifted by one line") {
  Memory memory;
  const Model<double> model = memory.add("head", {4, 3}).add("router", {4, 2}).model();
  CHECK_THROWS_WITH_AS(check_model(model, {symmetry("shift").rows("head", "router").by<Shift>(4)}),
                       doctest::Contains("lines of another length than 'head'"), Error);
}

TEST_CASE("what would mend a shift is looked for among lines of its length") {
  std::mt19937_64 engine(3);
  Matrix<double> a = gaussian<double>({3, 2}, engine), b = gaussian<double>({3, 5}, engine);
  Matrix<double> d_a = a, d_b = b;
  const auto view = [](auto& matrix) {
    return TensorView<double>(matrix.data(), {matrix.rows(), matrix.cols()});
  };
  const Model<double> squares({{"a", view(a), view(d_a)}, {"b", view(b), view(d_b)}}, [&] {
    d_a = a;
    d_b = b;
    return (a.squaredNorm() + b.squaredNorm()) / 2;
  });
  const ModelReport report = check_model(squares, {symmetry("shift").rows("a").by<Shift>(3)});
  CHECK(report.verdict == Verdict::violated);
  CHECK(report.symmetries.front().mend.find("no one change") == 0);
}

}}  // namespace model_motion_test
