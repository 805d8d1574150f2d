// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/chunks.hpp>

// A reduction brings a step the sums over rows that other processes have. A kernel whose numbers depend on
// several rows takes one after its other arguments. With NoReduction, the default, the process has all rows,
// and nothing is compiled for it; mpi::RowOptimizer has one for rows that several processes share. The
// members of either:
//
//   whole(part)            the shape of the whole block, of which the process has the rows `part`
//   is_split()             more than one process has rows: only then are the others asked for anything
//   chunks(part)           the chunks of the process's rows that sums are made of: chunks of the whole block
//   gathered(lines)        the lines of all chunks of the block, in the order of the rows, from those of the
//                          process; valid until the next call
//   continued(size, add)   add(line) onto a padded line of zeros, by one process after the other in the order
//                          of the rows, as if one went through all of them; valid until the next call
//   scan<Scalar>(s, visit) visit(x) for all numbers that the s(show) of the processes show, in that order
//   largest(x)             the largest of the processes' numbers, none of which is negative; NaN if any is
//   norm(x)                the root of the sum of the squares of the processes' norms
//   sum(numbers, count), sum_lower(square)   numbers, or a square's lower triangle, <- their sums over the
//                          processes, the same bits on all, in no known order
//   all(x)                 whether x holds on all processes
//   turned(block, work)    work(columns) on all rows of a share of the columns, which then go back
//
// NoReduction lacks those that nothing asks of it: continued, all and turned.
// All processes that have the block call the same members in the same order, those without rows too. A step
// with a reduction does not check the gradient, for what one finds, all have to know: Check::nothing.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

/// Lines of `size` numbers, `stride` apart, one for each chunk of a sum.
struct Lines {
  double* data = nullptr;
  Index count = 0;
  Index size = 0;
  Index stride = 0;
};

/// The reduction of a process that has all rows.
struct NoReduction {
  static constexpr Shape whole(Shape part) { return part; }
  static constexpr bool is_split() { return false; }
  static Chunks chunks(Shape part) { return reduction_chunks(part); }
  static Lines gathered(Lines own) { return own; }
  template <class Scalar>
  static void scan(auto&& numbers, auto&& visit) {
    numbers(visit);
  }
  static auto largest(auto x) { return x; }
  static double norm(double x) { return x; }
  static void sum(auto*, Index) {}
  static void sum_lower(auto&) {}
};

/// The sum of lines of one number each, first to last.
inline double sum_of(const Lines& lines) {
  double sum = 0;
  for (Index k = 0; k < lines.count; ++k) sum += lines.data[k * lines.stride];
  return sum;
}

/// The sum of lines, in the first of them: first to last.
inline const double* sum_in_place(const Lines& lines) {
  double* total = lines.data;
  for (Index k = 1; k < lines.count; ++k) {
    const double* line = lines.data + k * lines.stride;
    for (Index j = 0; j < lines.size; ++j) total[j] += line[j];
  }
  return total;
}

}}}  // namespace symopt::kernel
