// SPDX-License-Identifier: Apache-2.0
// A data-parallel training by MPI: every process has all weights and a part of the batch, and keeps a part of
// the optimizer's state.  mpirun -n 2 distributed
#include <symopt/interop/mpi.hpp>
#include <symopt/symopt.hpp>

#include <cmath>
#include <cstdio>
#include <iostream>

using namespace symopt;

namespace {

constexpr Index width = 16, batch = 32;

/// logits = head * hidden * input, fitted to targets by squares: loss and gradients of some of a batch's
/// rows.
double loss_and_gradients(const Matrix<float>& hidden, const Matrix<float>& head, const Matrix<float>& input,
                          const Matrix<float>& target, Matrix<float>& d_hidden, Matrix<float>& d_head) {
  const Matrix<float> inner = input * hidden.transpose(), error = inner * head.transpose() - target;
  const float scale = 1 / static_cast<float>(input.rows());
  d_head = scale * error.transpose() * inner;
  d_hidden = scale * head.transpose() * error.transpose() * input;
  return 0.5 * static_cast<double>(scale) * static_cast<double>(error.squaredNorm());
}

/// A problem that every process makes alike, from one seed.
struct Problem {
  Matrix<float> input, target, hidden, head;
  Problem() {
    std::srand(7);
    input = Matrix<float>::Random(batch, width);
    target = input * Matrix<float>::Random(width, width);
    hidden = 0.1F * Matrix<float>::Random(width, width);
    head = 0.1F * Matrix<float>::Random(width, width);
  }
};

double train(MPI_Comm processes, bool prints) {
  Problem problem;
  Matrix<float>&hidden = problem.hidden, &head = problem.head;
  Matrix<float> d_hidden = 0 * hidden, d_head = 0 * head;

  mpi::DistributedOptimizer optimizer(processes, {.learning_rate = 0.02, .weight_decay = 0.01});
  optimizer.add<HiddenMatrix>("hidden", hidden, d_hidden);
  optimizer.add<Adaptive<LmHead>>("head", head, d_head);
  optimizer.distribute();  // the ranks are compared, and each block gets its owner

  const int rank = optimizer.processes().rank();
  const Index rows = batch / optimizer.processes().size();
  if (rank == 0 && prints) std::cout << optimizer.plan();

  double loss = 0;
  for (int step = 0; step < 100; ++step) {
    const Matrix<float> input = problem.input.middleRows(rank * rows, rows);
    const Matrix<float> target = problem.target.middleRows(rank * rows, rows);
    loss = loss_and_gradients(hidden, head, input, target, d_hidden, d_head);
    clip_by_global_norm(optimizer, 1.0);
    optimizer.step();  // averages the gradients; all ranks have the new weights
  }
  MPI_Allreduce(MPI_IN_PLACE, &loss, 1, MPI_DOUBLE, MPI_SUM, processes);
  return loss / optimizer.processes().size();
}

}  // namespace

int main(int count, char** arguments) {
  int provided = 0, rank = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const double of_all = train(MPI_COMM_WORLD, true);
  const double of_one = train(MPI_COMM_SELF, false);  // the whole batch on one process
  if (rank == 0) std::printf("loss %.6f on all ranks, %.6f on one\n", of_all, of_one);
  MPI_Finalize();
  return std::abs(of_all - of_one) < 1e-3 * of_one && of_one < 1.0 ? 0 : 1;
}
