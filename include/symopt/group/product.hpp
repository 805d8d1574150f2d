// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/orthogonal.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/shift.hpp>
#include <symopt/group/trivial.hpp>

#include <boost/hana/integral_constant.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <type_traits>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI {

namespace detail {

namespace hana = boost::hana;

template <class... Factors>
struct FlatProduct;

/// The factors of a group as a Hana tuple of types: those of a product, itself for a simple group.
template <class G>
inline constexpr auto factors_of = hana::tuple_t<G>;
/// The factors of a product, flat: no factor is a product.
template <class G>
requires requires {
  G::factors;
}
inline constexpr auto factors_of<G> = G::factors;

/// A group of translations, which composes with linear factors as a semidirect product.
template <class G>
inline constexpr bool is_translation_v =
    families_of<G>.left.translations || families_of<G>.right.translations;

template <class... Factors>
constexpr int count_linear([[maybe_unused]] Side side) {
  return (0 + ... + int(families_of<Factors>.on(side).is_linear()));
}

template <class... Factors>
constexpr int count_shifts([[maybe_unused]] Side side) {
  return (0 + ... + int(families_of<Factors>.on(side).translations));
}

template <class Factor>
inline constexpr bool acts_on_one_side_v =
    !((families_of<Factor>.left.is_linear() || families_of<Factor>.left.translations) &&
      (families_of<Factor>.right.is_linear() || families_of<Factor>.right.translations));

/// True unless the product shifts along the ones of a side on which a linear factor moves them.
template <class... Factors>
constexpr bool keeps_ones(Side side) {
  return count_shifts<Factors...>(side) == 0 ||
         (true && ... && SideFamilies{.permutations = true}.contains_linear(families_of<Factors>.on(side)));
}

/// The product of all factors in some tuples of types. Matched rather than computed with values, as
/// hana::flatten would: every product in a program comes through here.
template <class... Tuples>
struct ProductOf;
template <class... Types>
struct ProductOf<hana::tuple<Types...>> {
  using type = FlatProduct<typename Types::type...>;
};
template <class... Types, class... More, class... Tuples>
struct ProductOf<hana::tuple<Types...>, hana::tuple<More...>, Tuples...>
    : ProductOf<hana::tuple<Types..., More...>, Tuples...> {};

template <class... Factors>
using flat_product_t =
    typename ProductOf<hana::tuple<>, std::remove_const_t<decltype(factors_of<Factors>)>...>::type;

}  // namespace detail

/// A product of groups that act on the same block: at most one linear factor on each side, at most
/// one shift of each kind. Linear factors commute; a shift is normal in the product, moved by the
/// linear factors (a semidirect product). The factors of a factor that is itself a product count as
/// factors of this one.
/// Action: the linear factors, then the shifts. Families: those of the factors together.
/// Random element: factor by factor. Generators: those of each factor, identity elsewhere.
/// Errors, at compile time: two linear factors on one side; a repeated shift; a shift along the ones
/// of a side whose linear factor does not keep them (only permutations do).
template <class... Factors>
struct Product : detail::flat_product_t<Factors...> {};

namespace detail {

/// A product whose factors are simple; what Product derives from.
template <class... Factors>
struct FlatProduct {
  static_assert((true && ... && detail::acts_on_one_side_v<Factors>),
                "a factor of a product acts on one side only: rows or columns");
  static_assert(detail::count_linear<Factors...>(Side::left) <= 1,
                "two factors of this product act linearly on the rows; keep the one that you mean");
  static_assert(detail::count_linear<Factors...>(Side::right) <= 1,
                "two factors of this product act linearly on the columns; keep the one that you mean");
  static_assert(detail::count_shifts<Factors...>(Side::left) <= 1 &&
                    detail::count_shifts<Factors...>(Side::right) <= 1,
                "this product names the same shift twice; once is enough");
  static_assert(detail::keeps_ones<Factors...>(Side::left),
                "a shared shift (SharedShift) cannot stand beside rotations, sign flips or head "
                "rotations of the rows: they move the line of ones; only row permutations keep it");
  static_assert(detail::keeps_ones<Factors...>(Side::right),
                "a column shift (ColumnShift) cannot stand beside rotations, sign flips or head "
                "rotations of the columns: they move the line of ones; only column permutations keep it");

  static constexpr auto factors = hana::tuple_t<Factors...>;

  static constexpr Families families = [] {
    Families all{};
    ((all = detail::combined(all, families_of<Factors>)), ...);
    return all;
  }();

  /// One element of each factor, in the order of the factors.
  template <class Scalar>
  struct Element {
    using scalar_type = Scalar;
    hana::tuple<element_t<Factors, Scalar>...> parts;
  };

  template <class Scalar>
  static Element<Scalar> identity([[maybe_unused]] Shape shape) {
    return {{Factors::template identity<Scalar>(shape)...}};
  }

  /// First h, then g: linear parts compose factor by factor, and g's move h's translation,
  /// g(h(W)) = A_g (A_h W + t_h) + t_g.
  template <class Scalar>
  static Element<Scalar> compose(const Element<Scalar>& g, const Element<Scalar>& h) {
    Element<Scalar> gh = h;
    move_translations(g, gh);
    for_each_factor([&]<class Factor>(hana::basic_type<Factor>, auto i) {
      gh.parts[i] = Factor::compose(g.parts[i], gh.parts[i]);
    });
    return gh;
  }

  /// W = A^-1 (X - t): the linear parts inverted, the translation negated and moved back.
  template <class Scalar>
  static Element<Scalar> inverse(const Element<Scalar>& g) {
    Element<Scalar> inverted = g;
    for_each_factor([&]<class Factor>(hana::basic_type<Factor>, auto i) {
      inverted.parts[i] = Factor::inverse(g.parts[i]);
    });
    const Element<Scalar> linear = inverted;
    move_translations(linear, inverted);
    return inverted;
  }

  template <class Scalar, RandomEngine Engine>
  static Element<Scalar> random([[maybe_unused]] Shape shape, [[maybe_unused]] Engine& engine) {
    // Braces fix the order in which the factors draw.
    return Element<Scalar>{
        hana::tuple<element_t<Factors, Scalar>...>{Factors::template random<Scalar>(shape, engine)...}};
  }

  template <class Scalar>
  static std::vector<Element<Scalar>> generators(Shape shape) {
    std::vector<Element<Scalar>> elements;
    const Element<Scalar> one = identity<Scalar>(shape);
    for_each_factor([&]<class Factor>(hana::basic_type<Factor>, auto i) {
      for (auto& generator : Factor::template generators<Scalar>(shape)) {
        elements.push_back(one);
        elements.back().parts[i] = std::move(generator);
      }
    });
    return elements;
  }

  template <class Scalar>
  static void act_on_weights(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    for_each_linear(
        [&]<class Factor>(hana::basic_type<Factor>, auto i) { Factor::act_on_weights(g.parts[i], block); });
    for_each_translation(
        [&]<class Factor>(hana::basic_type<Factor>, auto i) { Factor::act_on_weights(g.parts[i], block); });
  }
  template <class Scalar>
  static void act_on_gradient(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    for_each_linear(
        [&]<class Factor>(hana::basic_type<Factor>, auto i) { Factor::act_on_gradient(g.parts[i], block); });
  }
  template <class Scalar>
  static void act_on_update(const Element<Scalar>& g, std::type_identity_t<MatrixRef<Scalar>> block) {
    for_each_linear(
        [&]<class Factor>(hana::basic_type<Factor>, auto i) { Factor::act_on_update(g.parts[i], block); });
  }

 private:
  static void for_each_factor(auto visit) {
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      (visit(hana::basic_type<Factors>{}, hana::size_c<i>), ...);
    }
    (std::index_sequence_for<Factors...>{});
  }
  static void for_each_linear(auto visit) {
    for_each_factor([&]<class Factor>(hana::basic_type<Factor> factor, auto i) {
      if constexpr (!is_translation_v<Factor>) visit(factor, i);
    });
  }
  static void for_each_translation(auto visit) {
    for_each_factor([&]<class Factor>(hana::basic_type<Factor> factor, auto i) {
      if constexpr (is_translation_v<Factor>) visit(factor, i);
    });
  }

  /// t <- A t for every translation t of `moved` and the linear parts A of `g`. A shift of all rows
  /// is a row: only the factors on the columns move it, the others keep the ones.
  template <class Scalar>
  static void move_translations(const Element<Scalar>& g, Element<Scalar>& moved) {
    for_each_translation([&]<class Translation>(hana::basic_type<Translation>, auto t) {
      constexpr Side moving_side = families_of<Translation>.left.translations ? Side::right : Side::left;
      for_each_linear([&]<class Factor>(hana::basic_type<Factor>, auto i) {
        if constexpr (families_of<Factor>.on(moving_side).is_linear())
          Factor::act_on_update(g.parts[i], Translation::offset_of(moved.parts[t]));
      });
    });
  }
};

}  // namespace detail

/// O(m) x O(n): W -> Q W R^T.
using BiOrthogonal = Product<Orthogonal<Side::left>, Orthogonal<Side::right>>;

}}  // namespace symopt
