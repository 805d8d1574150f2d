// SPDX-License-Identifier: Apache-2.0
// Trainings that end badly, each to be run by mpirun:
//   endings timeout                  one rank leaves its loop, and the others have a time-out
//   endings rows_timeout             likewise, of those that share the rows of a block
//   endings save PATH VICTIM MS      saves step after step; that rank is killed after so many milliseconds
//   endings rows_save PATH VICTIM MS likewise, the rows of a block
// and one process that looks at what is left:
//   endings check PATH               the file is whole: to the bit the state after the steps that it names
//   endings rows_check PATH          likewise, of the block
#include <symopt/group/named_groups.hpp>
#include <symopt/interop/mpi.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace symopt;

/// Parameters of half a megabyte together, whose gradient is always the same.
struct Model {
  std::vector<std::vector<float>> weights =
      std::vector<std::vector<float>>(4, std::vector<float>(1 << 15, 1));
  std::vector<float> gradient = std::vector<float>(1 << 15, 2);

  void add_to(auto& stack) {
    for (std::size_t p = 0; p < weights.size(); ++p)
      stack.template add<Sign>("p" + std::to_string(p),
                               TensorView<float>(weights[p].data(), {1 << 8, 1 << 7}),
                               TensorView<const float>(gradient.data(), {1 << 8, 1 << 7}));
  }
};

int time_out() {
  Model model;
  mpi::DistributedOptimizer optimizer(MPI_COMM_WORLD, {}, {.timeout = 0.5});
  model.add_to(optimizer);
  optimizer.distribute();
  optimizer.step();
  if (optimizer.processes().rank() == 1) ::sleep(50);  // an exception that was not about a step, say
  optimizer.step();
  return 0;
}

int time_out_of_rows() {
  Matrix<float> weights = Matrix<float>::Ones(1 << 8, 1 << 7), gradient = weights;
  mpi::RowOptimizer<Update<LmHead>> optimizer(MPI_COMM_WORLD, weights.rows(), weights.cols(), {}, {},
                                              {.timeout = 0.5});
  optimizer.step(weights, gradient);
  if (optimizer.processes().rank() == 1) ::sleep(50);
  optimizer.step(weights, gradient);
  return 0;
}

/// Saves after every step, until the victim is killed.
int save(auto& optimizer, const auto& step, const std::string& path, int victim, int milliseconds) {
  step();
  mpi::save_state(optimizer, path);  // there is an old file from here on
  if (optimizer.processes().rank() == victim) {
    ::signal(SIGALRM, [](int) { ::raise(SIGKILL); });
    const itimerval timer{{0, 0}, {0, 1000 * milliseconds}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  for (int count = 0; count < 100000; ++count) {
    step();
    mpi::save_state(optimizer, path);
  }
  return 0;
}
int save(const std::string& path, int victim, int milliseconds) {
  Model model;
  mpi::DistributedOptimizer optimizer(MPI_COMM_WORLD);
  model.add_to(optimizer);
  optimizer.distribute();
  return save(
      optimizer, [&] { optimizer.step(); }, path, victim, milliseconds);
}

/// A block with half a megabyte of moments, whose gradient is always the same.
const Shape block{1 << 9, 1 << 7};

int save_rows(const std::string& path, int victim, int milliseconds) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const auto [begin, end] = mpi::row_partition(block, ranks)[static_cast<std::size_t>(rank)];
  mpi::RowOptimizer<AdamW> optimizer(MPI_COMM_WORLD, end - begin, block.cols);
  Matrix<float> weights = Matrix<float>::Ones(end - begin, block.cols), gradient = weights;
  return save(
      optimizer, [&] { optimizer.step(weights, gradient); }, path, victim, milliseconds);
}

/// Compares a file with the state after its steps.
int check(auto& loaded, auto& expected, const auto& step, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream found;
  found << file.rdbuf();
  const auto steps = interop::load_state(loaded, path).steps;
  for (int count = 0; count < steps; ++count) step();
  const bool is_whole = found.str() == interop::state_bytes(expected);
  std::printf("%s after %d steps\n", is_whole ? "whole" : "BROKEN", static_cast<int>(steps));
  return is_whole && steps > 0 ? 0 : 1;
}
int check(const std::string& path) {
  Model model, other;
  LayerwiseOptimizer loaded, expected;
  model.add_to(loaded);
  other.add_to(expected);
  return check(
      loaded, expected, [&] { expected.step(); }, path);
}
int check_rows(const std::string& path) {
  Optimizer<AdamW> loaded(block.rows, block.cols), expected(block.rows, block.cols);
  Matrix<float> weights = Matrix<float>::Ones(block.rows, block.cols), gradient = weights;
  return check(
      loaded, expected, [&] { expected.step(weights, gradient); }, path);
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments, arguments + count);
  if (count == 3 && words[1] == "check") return check(words[2]);
  if (count == 3 && words[1] == "rows_check") return check_rows(words[2]);
  int provided = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  int result = 2;
  if (count == 2 && words[1] == "timeout") result = time_out();
  if (count == 2 && words[1] == "rows_timeout") result = time_out_of_rows();
  if (count == 5 && words[1] == "save") result = save(words[2], std::stoi(words[3]), std::stoi(words[4]));
  if (count == 5 && words[1] == "rows_save")
    result = save_rows(words[2], std::stoi(words[3]), std::stoi(words[4]));
  MPI_Finalize();
  return result;
}
