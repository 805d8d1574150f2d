// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/check/wide.hpp>
#include <symopt/group/product.hpp>
#include <symopt/type_name.hpp>

#include <boost/hana/unpack.hpp>

#include <any>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace check {

/// A group with its type hidden, so that what is checked of every group is compiled once.
class AnyGroup {
 public:
  using Element = std::any;

  virtual ~AnyGroup() = default;
  virtual std::string name() const = 0;
  virtual Families families() const = 0;
  virtual Wide unit() const = 0;  ///< the roundoff of its elements
  /// False where the families are those of a larger group: a user's group states a bound.
  virtual bool has_all_its_families() const = 0;
  /// Tests whether the group has elements for blocks without rows or columns.
  virtual bool takes_empty_blocks() const { return false; }

  virtual Element identity(Shape shape) const = 0;
  virtual Element compose(const Element& g, const Element& h) const = 0;
  virtual Element inverse(const Element& g) const = 0;
  virtual Element random(Shape shape, std::mt19937_64& engine) const = 0;
  virtual std::vector<Element> generators(Shape shape) const = 0;

  virtual WideMatrix on_weights(const Element& g, const WideMatrix& block) const = 0;
  virtual WideMatrix on_gradient(const Element& g, const WideMatrix& block) const = 0;
  virtual WideMatrix on_update(const Element& g, const WideMatrix& block) const = 0;

  /// False for blocks that the heads of the group do not fill.
  bool fits(Shape shape) const {
    const auto fills = [](const SideFamilies& side, Index lines) {
      return side.block_rotations == 0 || lines % side.block_rotations == 0;
    };
    return fills(families().left, shape.rows) && fills(families().right, shape.cols);
  }
};

/// The scalar in which a group's elements are computed for checks: Wide, where the group has it.
template <class G>
using element_scalar_t =
    std::conditional_t<symopt::detail::HasElements<G, Wide> && symopt::detail::ActsOnBlocks<G, Wide>, Wide,
                       double>;

/// A group that says of itself that blocks without rows or columns are among its shapes.
template <class G>
concept TakesEmptyBlocks = requires {
  requires G::takes_empty_blocks;
};

/// A group of a type, as AnyGroup.
template <SymmetryGroup G, class Scalar = element_scalar_t<G>>
class ErasedGroup final : public AnyGroup {
  using E = element_t<G, Scalar>;
  static const E& in(const Element& g) { return *std::any_cast<E>(&g); }
  static WideMatrix moved(const WideMatrix& block, const auto& act) {
    Matrix<Scalar> own = detail::converted<Scalar>(block);
    act(own);
    return detail::widened(own);
  }

 public:
  std::string name() const override { return symopt::detail::type_name<G>(); }
  Families families() const override { return families_of<G>; }
  Wide unit() const override { return static_cast<Wide>(std::numeric_limits<Scalar>::epsilon()); }
  bool has_all_its_families() const override {
    return boost::hana::unpack(symopt::detail::factors_of<G>, [](auto... factor) {
      return (true && ... && !symopt::detail::StatesBound<typename decltype(factor)::type>);
    });
  }

  bool takes_empty_blocks() const override {
    return boost::hana::unpack(symopt::detail::factors_of<G>, [](auto... factor) {
      return (true && ... && TakesEmptyBlocks<typename decltype(factor)::type>);
    });
  }

  Element identity(Shape shape) const override { return G::template identity<Scalar>(shape); }
  Element compose(const Element& g, const Element& h) const override { return G::compose(in(g), in(h)); }
  Element inverse(const Element& g) const override { return G::inverse(in(g)); }
  Element random(Shape shape, std::mt19937_64& engine) const override {
    return G::template random<Scalar>(shape, engine);
  }
  std::vector<Element> generators(Shape shape) const override {
    std::vector<Element> elements;
    for (auto& generator : G::template generators<Scalar>(shape)) elements.push_back(std::move(generator));
    return elements;
  }

  WideMatrix on_weights(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](Matrix<Scalar>& own) { G::act_on_weights(in(g), own); });
  }
  WideMatrix on_gradient(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](Matrix<Scalar>& own) { G::act_on_gradient(in(g), own); });
  }
  WideMatrix on_update(const Element& g, const WideMatrix& block) const override {
    return moved(block, [&](Matrix<Scalar>& own) { G::act_on_update(in(g), own); });
  }
};

}}}  // namespace symopt::check
