// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/product.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/matrix.hpp>

#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/define_struct.hpp>

#include <cstdint>
#include <map>
#include <vector>

// A user's rules with a state, each of which says in its own way what the state is made of.
namespace symopt_test {

using symopt::Index;
using symopt::Matrix;
using symopt::Shape;

/// With a member visit(field).
struct VisitedLion {
  template <class Scalar>
  struct State {
    explicit State(Shape shape) : momentum(Matrix<Scalar>::Zero(shape.rows, shape.cols)) {}
    Matrix<Scalar> momentum;
    std::int32_t calls = 0;

    void visit(auto&& field) {
      field("momentum", momentum);
      field("calls", calls);
    }
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    direction = (Scalar(0.9) * state.momentum + Scalar(0.1) * gradient).cwiseSign() *
                static_cast<Scalar>(++state.calls);
    state.momentum = Scalar(0.99) * state.momentum + Scalar(0.01) * gradient;
  }
};

struct Counters {
  std::uint64_t calls;
  bool has_begun;
};

/// Adapted to Boost.Hana, with structs and lists in it, sized from rows and columns.
struct AdaptedSum {
  double decay = 0.5;

  template <class Scalar>
  struct State {
    State(Index rows, Index cols) : sums(2, Matrix<Scalar>::Zero(rows, cols)), history(3), counters{} {}
    BOOST_HANA_DEFINE_STRUCT(State, (std::vector<Matrix<Scalar>>, sums), (std::vector<float>, history),
                             (Counters, counters));
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    auto& now = state.sums[state.counters.calls % 2];
    now = static_cast<Scalar>(decay) * now + gradient;
    state.history[state.counters.calls % 3] = static_cast<float>(now.norm());
    ++state.counters.calls;
    state.counters.has_begun = true;
    direction = state.sums[0] + state.sums[1] * static_cast<Scalar>(1 + state.history[0]);
  }
};

/// Sized at its first step.
struct LateSum {
  template <class Scalar>
  struct State {
    Matrix<Scalar> sum;
    Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> columns;
    std::vector<double> norms;

    void visit(auto&& field) {
      field("sum", sum);
      field("columns", columns);
      field("norms", norms);
    }
    void validate() const {
      if (sum.size() != columns.size()) throw std::invalid_argument("the two sums differ in size");
    }
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    if (state.sum.size() == 0) {
      state.sum.setZero(gradient.rows(), gradient.cols());
      state.columns.setZero(gradient.rows(), gradient.cols());
    }
    state.sum += gradient;
    state.columns -= gradient * Scalar(0.5);
    state.norms.resize(2);
    state.norms[0] += 1;
    state.norms[1] += static_cast<double>(state.sum.norm());
    direction = state.sum + state.columns * static_cast<Scalar>(state.norms[1]);
  }
};

/// A state that cannot be saved.
struct UnsavableSum {
  template <class Scalar>
  struct State {
    std::map<int, double> norms;
  };

  template <class Scalar>
  void operator()(const auto&, const auto& gradient, State<Scalar>& state, auto& direction) const {
    state.norms[0] += static_cast<double>(gradient.norm());
    direction = gradient;
  }
};

}  // namespace symopt_test

BOOST_HANA_ADAPT_STRUCT(symopt_test::Counters, calls, has_begun);
BOOST_HANA_ADAPT_STRUCT(symopt_test::AdaptedSum, decay);
