// SPDX-License-Identifier: Apache-2.0
// The bytes of a step of split rows, counted where MPI is called, against the formulas of
// docs/distributed-rows.md. A program of its own: it has calls of MPI of its own.
#include "mpi/split_rows.hpp"

#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>

namespace {

/// Bytes that a rank is sent by its calls, and those that it gives to a reduction at another rank.
long long bytes = 0;

long long size_of(MPI_Datatype type) {
  int size = 0;
  MPI_Type_size(type, &size);
  return size;
}
bool is_rank(int rank, MPI_Comm communicator) {
  int own = 0;
  MPI_Comm_rank(communicator, &own);
  return own == rank;
}

}  // namespace

// MPI's profiling interface: these are called in place of MPI's, and call them by their other name.
extern "C" {
int MPI_Iallreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm communicator,
                   MPI_Request* request) {
  bytes += count * size_of(type);
  return PMPI_Iallreduce(from, to, count, type, op, communicator, request);
}
int MPI_Iallgatherv(const void* from, int count, MPI_Datatype sent, void* to, const int counts[],
                    const int places[], MPI_Datatype received, MPI_Comm communicator, MPI_Request* request) {
  int ranks = 0;
  MPI_Comm_size(communicator, &ranks);
  for (int r = 0; r < ranks; ++r)
    if (!is_rank(r, communicator)) bytes += counts[r] * size_of(received);
  return PMPI_Iallgatherv(from, count, sent, to, counts, places, received, communicator, request);
}
int MPI_Ibcast(void* numbers, int count, MPI_Datatype type, int root, MPI_Comm communicator,
               MPI_Request* request) {
  if (!is_rank(root, communicator)) bytes += count * size_of(type);
  return PMPI_Ibcast(numbers, count, type, root, communicator, request);
}
int MPI_Ireduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op, int root,
                MPI_Comm communicator, MPI_Request* request) {
  if (!is_rank(root, communicator)) bytes += count * size_of(type);
  return PMPI_Ireduce(from, to, count, type, op, root, communicator, request);
}
int MPI_Irecv(void* numbers, int count, MPI_Datatype type, int source, int tag, MPI_Comm communicator,
              MPI_Request* request) {
  bytes += count * size_of(type);
  return PMPI_Irecv(numbers, count, type, source, tag, communicator, request);
}
int MPI_Ialltoallw(const void* from, const int counts[], const int places[], const MPI_Datatype sent[],
                   void* to, const int received_counts[], const int received_places[],
                   const MPI_Datatype received[], MPI_Comm communicator, MPI_Request* request) {
  int ranks = 0;
  MPI_Comm_size(communicator, &ranks);
  for (int r = 0; r < ranks; ++r)
    if (!is_rank(r, communicator)) bytes += received_counts[r] * size_of(received[r]);
  return PMPI_Ialltoallw(from, counts, places, sent, to, received_counts, received_places, received,
                         communicator, request);
}
}

namespace rows_volume_test { namespace {

using namespace symopt;
using namespace symopt_test;

/// The bytes of the second step, once the first has made what is kept.
template <class Rule, class Scalar = float>
long long bytes_of_step(Shape shape, const OptimizerOptions& options = {}) {
  const mpi::RowRange own = own_rows(promised_split(shape));
  mpi::RowOptimizer<Rule, Scalar> optimizer(MPI_COMM_WORLD, own.end - own.begin, shape.cols, options);
  Random random(default_seed);
  const Matrix<Scalar> whole = quick_block<Scalar>(shape, random);
  Matrix<Scalar> weights = rows_of(whole, own);
  optimizer.step(weights, rows_of(whole, own));
  bytes = 0;
  optimizer.step(weights, rows_of(whole, own));
  return bytes;
}

constexpr long long verdict = 8;  // a severity and a rank

/// Of a line of n numbers for each chunk that another rank has; nothing where one rank has all.
long long gathered(Shape shape, Index size) {
  const kernel::Chunks chunks = kernel::reduction_chunks(shape);
  const mpi::RowRange own = own_rows(promised_split(shape));
  const Index own_chunks = (own.end - own.begin + chunks.rows_in_chunk - 1) / chunks.rows_in_chunk;
  return rank_count() > 1 ? 8 * (chunks.count - own_chunks) * size : 0;
}

TEST_CASE("rows and entries: an agreement, or nothing") {
  const Shape shape{2000, 70};
  CHECK(bytes_of_step<Update<Embedding>>(shape) == verdict);
  CHECK(bytes_of_step<AdamW>(shape) == verdict);
  CHECK(bytes_of_step<Adaptive<Embedding>, double>(shape) == verdict);
  CHECK(bytes_of_step<Update<Embedding>>(shape, {.non_finite = NonFinite::unchecked}) == 0);
}

TEST_CASE("a block that is not split sends nothing but the agreement") {
  CHECK(bytes_of_step<Update<LmHead>>({100, 70}) == verdict);
  CHECK(bytes_of_step<Update<HiddenMatrix>>({20, 70}) == verdict);
}

TEST_CASE("sums: the lines of the chunks of other ranks") {
  for (const Shape shape : {Shape{2000, 70}, Shape{6400, 30}}) {
    CAPTURE(symopt::to_string(shape));
    CHECK(bytes_of_step<Update<LmHead>>(shape) == verdict + 3 * gathered(shape, shape.cols));
    CHECK(bytes_of_step<Update<LmHead>>(shape, {.weight_decay = 0.1, .decay = Decay::horizontal}) ==
          verdict + 4 * gathered(shape, shape.cols));
    CHECK(bytes_of_step<Adaptive<LmHead>>(shape) == verdict + 2 * gathered(shape, shape.cols));
    CHECK(bytes_of_step<Update<SwigluOutput>>(shape) == verdict + gathered(shape, shape.cols));
    CHECK(bytes_of_step<Adaptive<SwigluOutput>>(shape) == verdict + gathered(shape, shape.cols));
    CHECK(bytes_of_step<Update<HiddenMatrix, FrobeniusNorm>>(shape) == verdict + gathered(shape, 1));
    CHECK(bytes_of_step<Adaptive<HiddenMatrix, moments::Block>>(shape) == verdict + gathered(shape, 1));
  }
}

TEST_CASE("sums that go from rank to rank: a line, and the last rank's to all") {
  const Shape shape{2000, 70};
  const bool is_alone = rank_count() == 1;
  const long long line = 8 * shape.cols, received = own_rank() > 0 ? line : 0;
  const long long broadcast = own_rank() + 1 < rank_count() ? line : 0;
  CHECK(bytes_of_step<Update<SharedShift>>(shape) == verdict + (is_alone ? 0 : 2 * (received + broadcast)));
}

template <class Scalar>
void check_polar(Shape shape) {
  CAPTURE(symopt::to_string(shape));
  const long long s = sizeof(Scalar), k = std::min(shape.rows, shape.cols);
  const mpi::RowRange own = own_rows(promised_split(shape));
  const Index rows = own.end - own.begin, ranks = rank_count(), rank = own_rank();
  const Index cols = shape.cols * (rank + 1) / ranks - shape.cols * rank / ranks;
  long long expected = verdict;
  if (ranks > 1) {
    expected += s;                                        // the largest entry
    if (rank > 0) expected += 2 * s * (k * (k + 1) / 2);  // to rank 0, and back
    if (shape.rows <= shape.cols)
      expected += s * (shape.rows * cols - rows * cols) + s * (rows * shape.cols - rows * cols);
  }
  CHECK(bytes_of_step<Update<HiddenMatrix>, Scalar>(shape) == expected);
}

TEST_CASE("polar factors: the Gram matrix to the first rank and from it, and a block that turns") {
  check_polar<float>({2500, 30});
  check_polar<double>({2500, 30});
  check_polar<float>({200, 400});
}

}}  // namespace rows_volume_test
