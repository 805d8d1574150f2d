// SPDX-License-Identifier: Apache-2.0
// A step sends the bytes that docs/distributed.md says, and allocates nothing.
#include "mpi/owners_model.hpp"
#include "support/allocation_count.hpp"

#include <symopt/interop/mpi.hpp>

#include <doctest/doctest.h>

namespace owners_cost_test { namespace {

/// Bytes that this rank has sent and received, by way.
struct Traffic {
  long long sent = 0, received = 0;                    // from one rank to another
  long long broadcast = 0, received_by_broadcast = 0;  // as the root, and as another rank
  long long agreed = 0;                                // in Allreduce
};
Traffic traffic;

/// Allocations of MPI for itself, which are not the optimizer's.
long allocations_of_mpi = 0;
struct Inside {
  long before = symopt_test::allocations_of_thread;
  ~Inside() { allocations_of_mpi += symopt_test::allocations_of_thread - before; }
};

long long bytes_of(int count, MPI_Datatype type) {
  int size = 0;
  PMPI_Type_size(type, &size);
  return static_cast<long long>(size) * count;
}

}}  // namespace owners_cost_test

// Called in place of MPI's functions by what is linked here.
extern "C" {

int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  const owners_cost_test::Inside inside;
  owners_cost_test::traffic.sent += owners_cost_test::bytes_of(count, type);
  return PMPI_Isend(data, count, type, to, tag, comm, request);
}
int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request* request) {
  const owners_cost_test::Inside inside;
  owners_cost_test::traffic.received += owners_cost_test::bytes_of(count, type);
  return PMPI_Irecv(data, count, type, from, tag, comm, request);
}
int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request* request) {
  const owners_cost_test::Inside inside;
  int rank = 0;
  PMPI_Comm_rank(comm, &rank);
  auto& traffic = owners_cost_test::traffic;
  (rank == root ? traffic.broadcast : traffic.received_by_broadcast) +=
      owners_cost_test::bytes_of(count, type);
  return PMPI_Ibcast(data, count, type, root, comm, request);
}
int MPI_Iallreduce(const void* data, void* result, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request* request) {
  const owners_cost_test::Inside inside;
  owners_cost_test::traffic.agreed += owners_cost_test::bytes_of(count, type);
  return PMPI_Iallreduce(data, result, count, type, op, comm, request);
}
int MPI_Testall(int count, MPI_Request* requests, int* flag, MPI_Status* statuses) {
  const owners_cost_test::Inside inside;
  return PMPI_Testall(count, requests, flag, statuses);
}
int MPI_Testsome(int count, MPI_Request* requests, int* done, int* indices, MPI_Status* statuses) {
  const owners_cost_test::Inside inside;
  return PMPI_Testsome(count, requests, done, indices, statuses);
}

}  // extern "C"

namespace owners_cost_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// The bytes of gradients and of sent weights of a rank's blocks, and of all.
struct Bytes {
  long long gradients = 0, weights = 0;
};

struct Counted {
  MpiModel model;
  mpi::DistributedOptimizer optimizer{MPI_COMM_WORLD, {.learning_rate = 0.01}};
  Bytes mine, all;

  explicit Counted(bool with_pair = true) {
    model.add_to(optimizer, with_pair);
    optimizer.distribute();
    for (const auto& parameter :
         symopt::detail::StateAccess::parameters(mpi::detail::DistributedAccess::stack(optimizer))) {
      if (parameter->gradient().count() == 0) continue;
      const bool has_bf16_gradient = !parameter->gradient().bf16.empty();
      const bool sends_bf16 = !parameter->weights().bf16.empty();
      for (std::size_t b = 0; b < parameter->block_count(); ++b) {
        const Shape shape = parameter->shapes()[b];
        const long long numbers = shape.rows * shape.cols;
        const Bytes bytes{numbers * (has_bf16_gradient ? 2 : 4), numbers * (sends_bf16 ? 2 : 4)};
        add(all, bytes);
        if (optimizer.owner(parameter->name(), b) == rank_of()) add(mine, bytes);
      }
    }
  }
  static void add(Bytes& sum, const Bytes& bytes) {
    sum.gradients += bytes.gradients;
    sum.weights += bytes.weights;
  }
};

TEST_CASE("a step sends what the formulas say") {
  Counted counted;
  CHECK(counted.all.gradients > 4 * (1 << 17));  // some in several messages
  for (int step = 0; step < 2; ++step) {
    traffic = {};
    CHECK(counted.optimizer.step().applied);
    const Bytes &mine = counted.mine, &all = counted.all;
    const long long others = size_of() - 1;
    CHECK(traffic.sent == (others > 0 ? all.gradients - mine.gradients : 0));
    CHECK(traffic.received == others * mine.gradients);
    CHECK(traffic.broadcast == mine.weights);
    CHECK(traffic.received_by_broadcast == all.weights - mine.weights);
    // five numbers of 8 bytes, and two more on account of the pair, which may refuse
    CHECK(traffic.agreed == 5 * 8 + 2 * 8);
  }
  traffic = {};
  clip_by_global_norm(counted.optimizer, 1e9);
  CHECK(traffic.agreed == 8 * 23);  // a norm for each block
}

TEST_CASE("a step allocates nothing, but to keep a pair, whose step may be refused") {
  Counted counted(false);
  for (int step = 0; step < 3; ++step) {
    counted.model.draw(rank_of(), step);
    const long before = allocations_of_thread, before_of_mpi = allocations_of_mpi;
    const bool is_applied = counted.optimizer.step().applied;
    const long of_step = allocations_of_thread - before, of_mpi = allocations_of_mpi - before_of_mpi;
    CHECK(is_applied);
    CHECK(of_step - of_mpi == 0);
  }
}

}}  // namespace owners_cost_test
