// SPDX-License-Identifier: Apache-2.0
// The code of docs/distributed-rows.md.
#include "mpi/shared_file.hpp"
#include "mpi/split_rows.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/interop/mpi/row_optimizer.hpp>
#include <symopt/interop/mpi/row_state.hpp>

namespace rows_page_test { namespace {

using namespace symopt;
using namespace symopt_test;

TEST_CASE("a head whose vocabulary is split over the ranks") {
  const Index vocabulary = 4000, features = 48;
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const auto split = mpi::row_partition({vocabulary, features}, ranks);
  const auto [begin, end] = split[static_cast<std::size_t>(rank)];  // rows of this rank

  Matrix<float> head = Matrix<float>::Zero(end - begin, features);
  mpi::RowOptimizer<Update<LmHead>> optimizer(MPI_COMM_WORLD, end - begin, features, {.learning_rate = 0.05});
  Random random(default_seed);
  const Matrix<float> whole = gaussian_block({vocabulary, features}, random).cast<float>();
  const Matrix<float> gradient = whole.middleRows(begin, end - begin);
  optimizer.step(head, gradient);  // on every rank; the mean row is that of all rows

  // No rank's rows have a mean of zero, but all of them together have: what the shift of a softmax asks for.
  Eigen::RowVectorXd sum = head.cast<double>().colwise().sum();
  if (ranks > 1) CHECK(sum.norm() > 1e-3);
  MPI_Allreduce(MPI_IN_PLACE, sum.data(), static_cast<int>(sum.size()), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  CHECK(sum.norm() < 1e-4);

  const SharedFile file("page");
  const std::filesystem::path path = file.path;
  mpi::save_state(optimizer, path);  // on every rank; rank 0 writes
  mpi::load_state(optimizer, path);  // on every rank, each of which reads the file
  Optimizer<Update<LmHead>> alone(vocabulary, features, {.learning_rate = 0.05});
  interop::load_state(alone, path);  // in one process
  CHECK(alone.steps() == 1);

  mpi::RowOptimizer<Update<LmHead>> patient(MPI_COMM_WORLD, end - begin, features, {.learning_rate = 0.05},
                                            {}, {.timeout = 600});
  patient.step(head, gradient);
  CHECK(patient.processes().communication_seconds() >= 0);
}

}}  // namespace rows_page_test
