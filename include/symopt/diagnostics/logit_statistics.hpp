// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/error.hpp>
#include <symopt/finite.hpp>
#include <symopt/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>

namespace symopt { inline namespace SYMOPT_ABI {

/// The statistics of logits [tokens, classes] under a softmax: those of a head, over the vocabulary, or of a
/// router, over the experts. Centred: less the mean of a token's logits, which the softmax does not see.
struct LogitStatistics {
  double rms = 0;              ///< root mean square
  double centred_rms = 0;      ///< root mean square, centred
  double centred_maximum = 0;  ///< largest absolute value, centred
  double logsumexp = 0;        ///< mean over the tokens, in nats
  double z_loss = 0;           ///< mean over the tokens of logsumexp^2
  double entropy = 0;          ///< mean over the tokens of a token's entropy, in nats: log(classes) at most

  /// Shows every number by its name.
  void fields(auto&& field) const {
    field("rms", rms);
    field("centred_rms", centred_rms);
    field("centred_maximum", centred_maximum);
    field("logsumexp", logsumexp);
    field("z_loss", z_loss);
    field("entropy", entropy);
  }

  /// One line: "rms 1.2, centred_rms 1.1, ...".
  friend std::ostream& operator<<(std::ostream& out, const LogitStatistics& statistics) {
    const char* before = "";
    statistics.fields([&](const char* name, double value) {
      out << before << name << ' ' << value;
      before = ", ";
    });
    return out;
  }
};

namespace detail {

/// The logits as they lie in memory, or a formula's in memory of their own, computed once.
template <class Derived>
decltype(auto) in_memory(const Eigen::MatrixBase<Derived>& logits) {
  if constexpr (is_memory_v<Derived>) {
    return (logits.derived());
  } else {
    return Matrix<typename Derived::Scalar>(logits);
  }
}

/// The largest logit in absolute value. Errors: Error that begins with the name of the caller for an Inf or a
/// NaN.
template <class Derived>
double largest_logit(const char* caller, const Eigen::MatrixBase<Derived>& logits) {
  double largest = 0;
  for (Index t = 0; t < logits.rows(); ++t)
    for (Index c = 0; c < logits.cols(); ++c) {
      const double size = std::abs(static_cast<double>(logits.coeff(t, c)));
      require(is_finite(size), [&] {
        return std::string(caller) + ": the logit of token " + std::to_string(t) + " and class " +
               std::to_string(c) + " is Inf or NaN";
      });
      largest = std::max(largest, size);
    }
  return largest;
}

/// The sums over the logits of one token that the statistics are made of, with the logits over `scale`.
struct TokenSums {
  double mean = 0, logsumexp = 0, entropy = 0;

  /// Shows the probability of each class to visit(class, probability).
  template <class Row>
  TokenSums(const Row& logits, const auto& visit) {
    const Index classes = logits.size();
    double largest = -std::numeric_limits<double>::infinity(), sum = 0, weighted = 0;
    for (Index c = 0; c < classes; ++c) largest = std::max(largest, static_cast<double>(logits.coeff(c)));
    for (Index c = 0; c < classes; ++c) {
      const double x = static_cast<double>(logits.coeff(c));
      mean += x / static_cast<double>(classes);
      sum += std::exp(x - largest);
      if (x > largest - 700) weighted += std::exp(x - largest) * (x - largest);  // beyond it is below doubles
    }
    logsumexp = largest + std::log(sum);
    entropy = std::max(0.0, std::log(sum) - weighted / sum);
    for (Index c = 0; c < classes; ++c)
      visit(c, std::exp(static_cast<double>(logits.coeff(c)) - largest) / sum);
  }
};

/// The statistics, and visit(class, probability) for all classes of every token.
template <class Derived>
LogitStatistics statistics_of_logits(const Eigen::MatrixBase<Derived>& logits, double largest,
                                     const auto& visit) {
  LogitStatistics statistics;
  if (logits.size() == 0) return statistics;
  const double scale = largest > 0 ? largest : 1;  // squares of logits near 1 stay in range
  const double tokens = static_cast<double>(logits.rows()), entries = static_cast<double>(logits.size());
  double squares = 0, centred_squares = 0;
  for (Index t = 0; t < logits.rows(); ++t) {
    const TokenSums token(logits.row(t), visit);
    for (Index c = 0; c < logits.cols(); ++c) {
      const double x = static_cast<double>(logits.coeff(t, c)), centred = x - token.mean;
      squares += (x / scale) * (x / scale);
      centred_squares += (centred / scale) * (centred / scale);
      statistics.centred_maximum = std::max(statistics.centred_maximum, std::abs(centred));
    }
    statistics.logsumexp += token.logsumexp / tokens;
    statistics.z_loss += token.logsumexp * token.logsumexp / tokens;
    statistics.entropy += token.entropy / tokens;
  }
  statistics.rms = scale * std::sqrt(squares / entries);
  statistics.centred_rms = scale * std::sqrt(centred_squares / entries);
  return statistics;
}

}  // namespace detail

/// The statistics of the logits [tokens, classes] of a head, or of any other softmax. Computed in double.
/// Cost: three reads and three exponentials of each logit. Errors: std::invalid_argument for an Inf or a NaN.
template <class Derived>
LogitStatistics logit_statistics(const Eigen::MatrixBase<Derived>& logits) {
  const auto& values = detail::in_memory(logits);
  return detail::statistics_of_logits(values, detail::largest_logit("logit_statistics", values),
                                      [](Index, double) {});
}

}}  // namespace symopt
