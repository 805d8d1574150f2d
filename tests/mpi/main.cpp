// SPDX-License-Identifier: Apache-2.0
// The tests of several processes: every rank runs all cases, in the same order.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <mpi.h>

int main(int count, char** arguments) {
  int provided = 0;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
  const int result = doctest::Context(count, arguments).run();
  MPI_Finalize();
  return result;
}
