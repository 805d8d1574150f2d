// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/kernel/chunks.hpp>
#include <symopt/kernel/operands.hpp>

// The loops of every kernel: rows or groups of rows, in each the runs that all operands can show in windows,
// in each run the vectors. A kernel is the body of the innermost one:
//
//   sweep(rows, columns, [=](L g, L& m, L& w) SYMOPT_INLINE_LAMBDA {
//     m = average.next(m, g);
//     w = moved(w, keep, minus_step_size, m);
//   }, in(gradient), inout(momentum), inout(weights));
//
// It is called once for every vector of entries, with a value for each operand (see kernel/operands.hpp): a
// vector of the numbers there, by reference where it is written. Threads are outside: a sweep is of the rows
// and columns that one thread has.
namespace symopt { inline namespace SYMOPT_ABI { namespace kernel {

namespace detail {

template <class First, class...>
struct FirstOf {
  using type = First;
};

/// One vector of each row of a group.
template <int rows, class At, class Body, class... Cursors>
SYMOPT_INLINE void visit_vector(At at, const Body& body, Cursors&... cursors) {
  (cursors.begin(at), ...);
#pragma GCC unroll 8
  for (int row = 0; row < rows; ++row) {
    (cursors.load(row, at), ...);
    body(cursors.value(row)...);
    (cursors.store(row, at), ...);
  }
  (cursors.end(at), ...);
}

/// The vectors of a run, of which the cursors are copies, so that what they point at and add up stays in
/// registers.
template <int rows, int vector_size, class Body, class... Cursors>
SYMOPT_INLINE void sweep_run(Index count, const Body& body, Cursors... cursors) {
  Index j = 0;
  for (; j + vector_size <= count; j += vector_size) visit_vector<rows>(FullVector{j}, body, cursors...);
  if (j < count) visit_vector<rows>(Tail{j, static_cast<int>(count - j)}, body, cursors...);
  (cursors.finish(), ...);
}

template <class Body, class... Operands>
void sweep_left_over(Range rows, Range columns, Body body, Operands... operands);

}  // namespace detail

/// body(values...) for every vector of the operands in these rows and columns, row by row; or in groups of
/// `rows` rows side by side, and then those that are left one by one. The rows of a group share what the body
/// reads and writes for each column: for every vector it is called for one row of the group after the other.
/// The first operand says how many entries a vector has.
template <int rows = 1, class Body, class... Operands>
SYMOPT_INLINE void sweep(Range of_rows, Range columns, Body body, Operands... operands) {
  using First = typename detail::FirstOf<Operands...>::type;
  using Scalar = typename First::Scalar;
  Index row = of_rows.begin;
  for (; row + rows <= of_rows.end; row += rows) {
    const Index next_row = row + Index{2} * rows <= of_rows.end ? row + rows : row;
    for (Index col = columns.begin, count; col < columns.end; col += count) {
      count = columns.end - col;
      ((count = std::min(count, operands.run_from(col))), ...);
      const Run run{row, next_row, col, count, col - columns.begin};
      // The windows stay open until the end of the statement that opens them.
      detail::sweep_run<rows, First::vector_size>(
          count, body, operands.template cursor<Scalar, rows>(run, operands.template open<rows>(run))...);
      if constexpr (!(Operands::limits_runs || ...)) break;  // or the compiler takes it for a loop
    }
  }
  if constexpr (rows > 1)
    if (row < of_rows.end) detail::sweep_left_over({row, of_rows.end}, columns, body, operands...);
}

namespace detail {

/// Rows that are too few for a group: compiled once for groups of all sizes.
template <class Body, class... Operands>
[[gnu::noinline]] void sweep_left_over(Range rows, Range columns, Body body, Operands... operands) {
  sweep(rows, columns, body, operands...);
}

}  // namespace detail

}}}  // namespace symopt::kernel
