// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/configuration.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/kernel/reference.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

// Compiled into two translation units for different instruction sets.
namespace {

using symopt::Index;

/// The largest error of two row-norm steps against the reference, in units of roundoff; AdamW and a head's
/// step are taken too, for their symbols.
double error_of_steps() {
  constexpr Index rows = 37, cols = 53;
  std::vector<float> w(rows * cols), m(w.size(), 0.0F), g(w.size()), w_plain, head;
  for (std::size_t k = 0; k < w.size(); ++k) {
    w[k] = std::sin(static_cast<float>(k));
    g[k] = std::cos(3.0F * static_cast<float>(k));
  }
  w_plain = head = w;
  using Block = Eigen::Map<symopt::Matrix<float>>;
  const Block gradient(g.data(), rows, cols);
  symopt::Optimizer<symopt::Update<symopt::Embedding>> optimizer(rows, cols, {.learning_rate = 0.1});
  symopt::Optimizer<symopt::Update<symopt::LmHead>> centred(rows, cols);
  symopt::Optimizer<symopt::AdamW> adamw(rows, cols);
  const symopt::detail::BlockView<float> momentum(m.data(), {rows, cols}, {cols, 1});
  const symopt::detail::BlockView<float> plain(w_plain.data(), {rows, cols}, {cols, 1});
  const symopt::detail::BlockView<const float> gradient_view(g.data(), {rows, cols}, {cols, 1});
  for (int step = 0; step < 2; ++step) {
    optimizer.step(Block(w.data(), rows, cols), gradient);
    centred.step(Block(head.data(), rows, cols), gradient);
    adamw.step(Block(head.data(), rows, cols), gradient);
    symopt::kernel::reference::step(
        gradient_view, momentum, plain, {.beta = 0.95, .gradient_weight = 0.05, .step_size = 0.1},
        [](symopt::kernel::reference::Block& x) { symopt::kernel::reference::normalize_rows(x, 1e-8); });
  }
  double worst = std::isfinite(head[5]) ? 0 : INFINITY;
  for (std::size_t k = 0; k < w.size(); ++k)
    worst = std::max(worst, std::abs(double(w[k]) - double(w_plain[k])) / 1.2e-7);
  std::printf("%s: %.2f roundings\n", symopt::configuration().c_str(), worst);
  return worst;
}

}  // namespace
