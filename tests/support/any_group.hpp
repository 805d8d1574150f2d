// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/inputs.hpp"

#include <symopt/group/concept.hpp>

#include <any>
#include <stdexcept>
#include <vector>

namespace symopt_test {

/// A group with its type and its scalar hidden, so that what is checked of every group is compiled once.
/// Blocks come and go in double; the group works in its own scalar.
class AnyGroup {
 public:
  using Element = std::any;

  virtual ~AnyGroup() = default;
  virtual std::string name() const = 0;
  virtual symopt::Families families() const = 0;
  virtual double unit() const = 0;  ///< the roundoff of the scalar
  virtual Matrix<double> rounded(const Matrix<double>& block) const = 0;

  virtual Element identity(Shape shape) const = 0;
  virtual Element compose(const Element& g, const Element& h) const = 0;
  virtual Element inverse(const Element& g) const = 0;
  virtual Element random(Shape shape, Random& engine) const = 0;
  virtual std::vector<Element> generators(Shape shape) const = 0;

  virtual Matrix<double> on_weights(const Element& g, const Matrix<double>& block) const = 0;
  virtual Matrix<double> on_gradient(const Element& g, const Matrix<double>& block) const = 0;
  virtual Matrix<double> on_update(const Element& g, const Matrix<double>& block) const = 0;

  /// False for blocks that the heads of the group do not fill.
  bool fits(Shape shape) const {
    const auto fills = [](const symopt::SideFamilies& side, Index lines) {
      return side.block_rotations == 0 || lines % side.block_rotations == 0;
    };
    return fills(families().left, shape.rows) && fills(families().right, shape.cols);
  }
};

template <class G, class Scalar>
class ErasedGroup final : public AnyGroup {
  using E = symopt::element_t<G, Scalar>;
  static const E& in(const Element& g) { return *std::any_cast<E>(&g); }

 public:
  std::string name() const override { return type_name<G>() + ", " + type_name<Scalar>(); }
  symopt::Families families() const override { return symopt::families_of<G>; }
  double unit() const override { return roundoff<Scalar>; }
  Matrix<double> rounded(const Matrix<double>& block) const override {
    return block.template cast<Scalar>().template cast<double>();
  }

  Element identity(Shape shape) const override { return G::template identity<Scalar>(shape); }
  Element compose(const Element& g, const Element& h) const override { return G::compose(in(g), in(h)); }
  Element inverse(const Element& g) const override { return G::inverse(in(g)); }
  Element random(Shape shape, Random& engine) const override {
    return G::template random<Scalar>(shape, engine);
  }
  std::vector<Element> generators(Shape shape) const override {
    std::vector<Element> elements;
    for (auto& generator : G::template generators<Scalar>(shape)) elements.push_back(std::move(generator));
    return elements;
  }

  Matrix<double> on_weights(const Element& g, const Matrix<double>& block) const override {
    Matrix<Scalar> moved = block.template cast<Scalar>();
    G::act_on_weights(in(g), moved);
    return moved.template cast<double>();
  }
  Matrix<double> on_gradient(const Element& g, const Matrix<double>& block) const override {
    Matrix<Scalar> moved = block.template cast<Scalar>();
    G::act_on_gradient(in(g), moved);
    return moved.template cast<double>();
  }
  Matrix<double> on_update(const Element& g, const Matrix<double>& block) const override {
    Matrix<Scalar> moved = block.template cast<Scalar>();
    G::act_on_update(in(g), moved);
    return moved.template cast<double>();
  }
};

/// The generators and a few random elements.
inline std::vector<AnyGroup::Element> sample_elements(const AnyGroup& group, Shape shape, Random& random,
                                                      int draws = 3) {
  std::vector<AnyGroup::Element> elements = group.generators(shape);
  for (int i = 0; i < draws; ++i) elements.push_back(group.random(shape, random));
  return elements;
}

/// The matrix by which an element of a one-sided linear group multiplies: A of W -> A W or W -> W A^T.
inline Matrix<double> matrix_of(const AnyGroup& group, const AnyGroup::Element& g, Index size) {
  const Matrix<double> image = group.on_update(g, Matrix<double>::Identity(size, size));
  return group.families().left == symopt::SideFamilies{} ? Matrix<double>(image.transpose()) : image;
}

}  // namespace symopt_test
