// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/divisor.hpp>
#include <symopt/side.hpp>

#include <cstdint>
#include <memory>

/// \cond a class of libtorch, here by name alone
namespace at {
class Tensor;
}  // namespace at
/// \endcond

namespace symopt { inline namespace SYMOPT_ABI {

namespace polar {
class QuinticList;
}  // namespace polar

namespace detail {

/// Writes down a rule as data, its stages and their options without their types, for whoever computes steps
/// by other means than the kernels of this library. It is told a rule by write_form or write_pair_form: the
/// projection of the group; then adamw(), or adaptive(), or the stages one after the other, those of a rule
/// for pairs after pair().
class FormWriter {
 public:
  /// The second moments of Adaptive.
  enum class Moments { entries, rows, columns, block, one_sided };
  /// The side whose Gram matrix a polar factor is found by.
  enum class GramSide { shorter, left, right };
  /// The member torch_apply of a user's map, and of a user's way to a polar factor.
  ///@{
  using MapApply = void (*)(const void* map, at::Tensor& blocks);
  using PolarApply = void (*)(const void* method, at::Tensor& blocks, Side gram_side);
  ///@}

  /// P of the rule's group, which horizontal decay uses and Adaptive beside it.
  virtual void group_projection(bool left, bool right) = 0;

  virtual void adamw(double beta1, double beta2, double eps) = 0;
  /// The heads are those of one_sided moments; 0 for all rows or columns.
  virtual void adaptive(Moments moments, int head_rows, int head_columns, double beta1, double beta2,
                        double eps, int every) = 0;

  /// A rule for pairs. The algebra that the pair does not see has all r x r matrices, or those of the numbers
  /// that follow: of each column the number of a positive element, and where there are planes their two
  /// columns.
  ///@{
  virtual void pair(bool is_full, bool has_planes_in_order, double damping, bool is_horizontal) = 0;
  virtual void pair_number(std::int64_t number) = 0;
  virtual void pair_plane(std::int64_t first, std::int64_t second) = 0;
  ///@}

  /// Stages.
  ///@{
  /// P: subtracts the mean row (left), the mean column (right), both or nothing.
  virtual void projection(bool left, bool right) = 0;
  virtual void identity() = 0;
  virtual void sign() = 0;
  virtual void frobenius_norm() = 0;
  /// Every line along that side's space, the rows (left) or the columns (right), over its norm.
  virtual void line_norm(Side lines, double eps, Divisor divisor) = 0;
  virtual void torch_map(std::shared_ptr<const void> map, MapApply apply) = 0;
  ///@}

  /// Polar factors, as in polar/.
  ///@{
  virtual void minimax(GramSide side, int terms) = 0;
  virtual void zolotarev(GramSide side, int terms, double lower_bound, double upper_bound) = 0;
  virtual void iteration(GramSide side, int steps, const polar::QuinticList& coefficients, double safety,
                         double eps) = 0;
  /// In Gram space, with that many steps before a new Gram matrix: -1 where the scalar asks for it, 0 never.
  virtual void gram_iteration(GramSide side, int steps, const polar::QuinticList& coefficients, double safety,
                              double eps, int restart_after) = 0;
  virtual void exact(GramSide side, double cutoff) = 0;
  virtual void torch_polar(GramSide side, std::shared_ptr<const void> method, PolarApply apply) = 0;
  ///@}

  /// The stages since begin_inner() are one: DualNorm of them, or they are those of each head alone, of so
  /// many rows (left) or columns (right).
  ///@{
  virtual void begin_inner() = 0;
  virtual void end_dual_norm(double alpha) = 0;
  virtual void end_per_head(Side side, int size) = 0;
  ///@}

 protected:
  ~FormWriter() = default;
};

}  // namespace detail

}}  // namespace symopt
