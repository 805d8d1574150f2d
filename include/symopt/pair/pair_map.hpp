// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/gauge.hpp>
#include <symopt/normalization/apply.hpp>
#include <symopt/optimizer/rule_traits.hpp>
#include <symopt/pair/horizontal.hpp>
#include <symopt/pair/metric.hpp>
#include <symopt/pair/small_directions.hpp>
#include <symopt/product/products.hpp>
#include <symopt/scaling.hpp>

#include <algorithm>
#include <optional>

namespace symopt { inline namespace SYMOPT_ABI {

/// The ranks of Pi(A^T A) and Pi(B^T B) of a pair, as far as numbers tell.
struct PairRanks {
  Index a = 0;     ///< of Pi(A^T A)
  Index b = 0;     ///< of Pi(B^T B)
  Index full = 0;  ///< of an invertible one

  /// False where the directions depend on the choice of g: where a rank lies between 0 and full or, with a
  /// damping, where none of the two is full either.
  bool are_regular(bool is_damped = false) const {
    const auto is_partial = [this](Index rank) { return rank > 0 && rank < full; };
    if (is_damped && (a == full || b == full)) return true;
    return !is_partial(a) && !is_partial(b);
  }
};

namespace detail {

/// Multiplies blocks by J or J^T, where the algebra's elements are r x r matrices.
template <class A, class Scalar>
class ColumnProduct {
 public:
  ColumnProduct(Index rank, Index most_lines)
      : products_(rank, std::max<Index>(most_lines, 1)), square_(rank * rank) {}

  /// X <- scale X (factor J), or with J^T; X is lines x r, or r x lines and multiplied from the left.
  void apply(MatrixRef<Scalar> x, Side rank_side, const DenseMetric<A>& metric, bool is_transposed,
             double factor, Scalar scale) {
    const Matrix<double>& j = metric.root_inverse();
    const Index size = j.rows();
    MatrixRef<Scalar> square = square_.as({size, size});
    for (Index i = 0; i < size; ++i)
      for (Index k = 0; k < size; ++k)
        square(i, k) =
            static_cast<Scalar>(factor * (is_transposed == (rank_side == Side::right) ? j(k, i) : j(i, k)));
    kernel::multiply_square<Scalar>(square, x, rank_side, products_, scale);
  }

 private:
  kernel::ProductMemory<Scalar> products_;
  kernel::Buffer<Scalar> square_;
};

/// Multiplies blocks by a diagonal J.
template <class A, class Scalar>
requires HasNumbers<A>
class ColumnProduct<A, Scalar> {
 public:
  ColumnProduct(Index rank, Index) : numbers_(rank) {}

  void apply(MatrixRef<Scalar> x, Side rank_side, const DiagonalMetric<A>& metric, bool, double factor,
             Scalar scale) {
    Scalar* numbers = numbers_.data();
    for (Index j = 0; j < numbers_.size(); ++j)
      numbers[j] = static_cast<Scalar>(factor * metric.numbers()[static_cast<std::size_t>(j)]);
    const bool is_right = rank_side == Side::right;
    kernel::share_work(x.rows(), 4.0 * static_cast<double>(x.size()), [&](Index i) {
      Scalar* row = &x.coeffRef(i, 0);
      const Scalar of_row = is_right ? Scalar(1) : numbers[i];
      for (Index k = 0; k < x.cols(); ++k) row[k] = (scale * row[k]) * (is_right ? numbers[k] : of_row);
    });
  }

 private:
  kernel::Buffer<Scalar> numbers_;
};

/// A normalization that is shown the columns in the order of their planes.
template <class A, class Scalar>
class PlaneOrder {
 public:
  explicit PlaneOrder(Index size) : copy_(is_out_of_order<A> ? size : 0) {}

  /// x <- map(x), with the lines along the rank in order.
  void apply(MatrixRef<Scalar> x, Side rank_side, const auto& map) {
    if constexpr (!is_out_of_order<A>) {
      map(x);
    } else {
      MatrixRef<Scalar> ordered = copy_.as(shape_of(x));
      const Index planes = extent(shape_of(x), rank_side) / 2;
      const auto move = [&](auto&& to, Index column, const auto& from, Index place) {
        if (rank_side == Side::right) {
          to.col(column) = from.col(place);
        } else {
          to.row(column) = from.row(place);
        }
      };
      for (Index p = 0; p < planes; ++p) {
        move(ordered, 2 * p, x, A::first(p, 2 * planes));
        move(ordered, 2 * p + 1, x, A::second(p, 2 * planes));
      }
      map(ordered);
      for (Index p = 0; p < planes; ++p) {
        move(x, A::first(p, 2 * planes), ordered, 2 * p);
        move(x, A::second(p, 2 * planes), ordered, 2 * p + 1);
      }
    }
  }

 private:
  kernel::Buffer<Scalar> copy_;
};

/// The map of a pair from momenta to directions,
///   U_A = N(M_A F_B^-1) F_B^-T,   U_B = N(M_B F_A^-1) F_A^-T,
/// with the metric of each side from all blocks on it, and the memory that it works in. Allocates nothing for
/// the shipped algebras and normalizations.
template <class PairGroup, class Normalization, class Scalar>
class PairMap {
  using A = typename PairGroup::algebra;
  using Metric = PairMetric<A>;
  using Mirror = decltype(mirror(std::declval<const Normalization&>()));

 public:
  /// Floats, whose metrics are found from Gram matrices.
  static constexpr bool has_grams = std::same_as<A, algebra::Full> && std::same_as<Scalar, float>;
  /// Floats under a map that goes through r x r matrices: in two sweeps, see GramSweeps.
  static constexpr bool is_small = has_grams && acts_by_gram<Normalization>;

  explicit PairMap(const PairExtents& extents, bool is_horizontal = false)
      : a_(extents.shape.a(), extents.count_of_a),
        b_(extents.shape.b(), extents.count_of_b),
        small_(extents),
        scratch_(std::max(extents.shape.rows_of_a * extents.count_of_a,
                          extents.shape.rows_of_b * extents.count_of_b),
                 extents.shape.rank, small_.memory_size()),
        product_(extents.shape.rank, std::max(extents.shape.rows_of_a, extents.shape.rows_of_b)),
        order_(extents.shape.rank * std::max(extents.shape.rows_of_a, extents.shape.rows_of_b)),
        horizontal_(is_horizontal ? extents.shape.rank : 0),
        is_horizontal_(is_horizontal) {}

  /// The momenta become the directions. `damping`: delta of Pi(B^T B) + delta^2 Pi(A^T A)^-1 and mirrored; 0
  /// for pseudo-inverses. Blocks without a momentum are read alone. Equivariant where one of the two
  /// projections is invertible, or both are or zero; undamped where each is invertible or zero.
  void apply(const Normalization& normalization, PairBlocks<Scalar>& a, PairBlocks<Scalar>& b,
             double damping) {
    constexpr auto nothing = [](const auto&...) {};
    if constexpr (has_grams) read(a, b, in_memory);
    find(normalization, a, b, damping, nothing);
    if constexpr (is_small) write(a, b, in_memory, to_memory);
    project(a, b);
  }

  /// apply() in four parts, for a step that does its own while it has some lines at hand.
  ///   read     the Gram matrices, of the momenta too where the map is_small: lines(side, direction, range,
  ///            scratch) shows some lines
  ///   find     the directions: of an is_small map a square for each, and of others the direction itself, for
  ///            which fill(side, direction) first writes the momentum to its memory
  ///   write    take(side, direction, range, lines) for all lines of every direction: as lines() shows them
  ///            where it has no square, or else multiplied by that
  ///   project  the directions, if they are to be horizontal
  ///@{
  void read(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, const auto& lines) requires has_grams {
    small_.read(a, b, scratch_.lines.data(), lines);
  }
  void find(const Normalization& normalization, PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, double damping,
            const auto& fill) {
    find_metrics(a, b, damping);
    normalize(normalization, a, a_, damping > 0 ? b_.damped : b_.metric, fill);
    normalize(normalization, b, b_, damping > 0 ? a_.damped : a_.metric, fill);
  }
  void write(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, const auto& lines,
             const auto& take) requires is_small {
    small_.write(a, b, scratch_.lines.data(), lines, take);
  }
  void project(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b) {
    if (is_horizontal_ && is_whole(a) && is_whole(b)) horizontal_.project(a, b, a_.metric, b_.metric);
  }
  ///@}
  bool is_horizontal() const { return is_horizontal_; }

  /// Lines of a direction in its memory.
  static DirectionLines in_memory(const PairBlocks<float>& side, std::size_t direction, kernel::Range lines,
                                  DirectionLines) {
    MatrixRef<float> block = side.directions[direction];
    const Index stride = block.outerStride();
    return {block.data() + lines.begin * (side.rank_side == Side::right ? stride : 1), stride};
  }

  /// Copies lines of a direction into its memory, where they are not there yet.
  static void to_memory(const PairBlocks<float>& side, std::size_t direction, kernel::Range lines,
                        DirectionLines from) {
    const DirectionLines to = in_memory(side, direction, lines, from);
    const Index count = lines.end - lines.begin, rank = side.rank();
    const Index rows = side.rank_side == Side::right ? count : rank,
                cols = side.rank_side == Side::right ? rank : count;
    for (Index i = 0; from.data != to.data && i < rows; ++i)
      std::copy(from.data + i * from.stride, from.data + i * from.stride + cols, to.data + i * to.stride);
  }

  /// The square of a direction; null where it has none.
  const SmallSquare* square(bool is_a, std::size_t direction) const requires is_small {
    return small_.square(is_a, direction);
  }

  /// The ranks of Pi(A^T A) and Pi(B^T B) in the last application.
  PairRanks ranks() const { return {a_.metric.rank(), b_.metric.rank(), a_.metric.full()}; }

 private:
  struct OneSide {
    OneSide(Shape shape, Index) : metric(shape.cols), damped(shape.cols), workspace(shape) {}

    Metric metric, damped;
    workspace_t<Normalization, Scalar> workspace;
  };

  void damp(const PairBlocks<Scalar>& blocks, OneSide& side, const Metric& partner, double damping) {
    side.damped.compute_damped(blocks, side.metric, partner, damping, scratch_);
  }
  /// Tests whether all blocks of a side move: a projection changes each of them.
  static bool is_whole(const PairBlocks<Scalar>& side) {
    return !side.directions.empty() && side.directions.size() == side.weights.size();
  }
  static bool is_partial(const Metric& metric) { return metric.rank() > 0 && metric.rank() < metric.full(); }

  void find_metrics(PairBlocks<Scalar>& a, PairBlocks<Scalar>& b, double damping) {
    if constexpr (has_grams) {
      small_.take_sums(a, b, scratch_.lines.data(), a_.metric.gram(), b_.metric.gram());
      a_.metric.compute_by_gram(a, scratch_);
      b_.metric.compute_by_gram(b, scratch_);
    } else {
      a_.metric.compute(a, scratch_);
      b_.metric.compute(b, scratch_);
    }
    if (damping > 0) {
      damp(a, a_, b_.metric, damping);
      damp(b, b_, a_.metric, damping);
      // Of a singular partner the damped inverse, which moves with the gauge; that of zero is zero.
      if (is_partial(b_.metric)) damp(a, a_, b_.damped, damping);
      if (is_partial(a_.metric)) damp(b, b_, a_.damped, damping);
    }
  }

  void normalize(const Normalization& normalization, PairBlocks<Scalar>& side, OneSide& own,
                 const Metric& partner, const auto& fill) {
    for (std::size_t k = 0; k < side.directions.size(); ++k) {
      MatrixRef<Scalar>& x = side.directions[k];
      if (x.size() == 0) continue;
      if constexpr (is_small)
        if (small_.find(normalization, &own == &a_, k, partner.root_inverse())) continue;
      fill(side, k);
      // In balance, so that neither factor leaves the range where the product does not.
      const Scalar scale = kernel::power_of_two_scale(kernel::max_abs(x));
      product_.apply(x, side.rank_side, partner, false, 1 / static_cast<double>(scale), scale);
      order_.apply(x, side.rank_side, [&](MatrixRef<Scalar> block) {
        if (side.rank_side == Side::right) {
          apply_map<Normalization, Scalar>(normalization, block, own.workspace);
        } else {
          apply_map<std::remove_cvref_t<Mirror>, Scalar>(mirror(normalization), block, own.workspace);
        }
      });
      product_.apply(x, side.rank_side, partner, true, 1, Scalar(1));
    }
  }

  struct WithoutGrams {
    explicit WithoutGrams(const PairExtents&) {}
    Index memory_size() const { return 0; }
  };
  using Small = std::conditional_t<is_small, SmallDirections<Normalization>,
                                   std::conditional_t<has_grams, GramsOfWeights, WithoutGrams>>;

  OneSide a_, b_;
  Small small_;
  typename Metric::Scratch scratch_;
  ColumnProduct<A, Scalar> product_;
  PlaneOrder<A, Scalar> order_;
  PairHorizontalProjection<A, Scalar> horizontal_;
  bool is_horizontal_;
};

}  // namespace detail

}}  // namespace symopt
