// SPDX-License-Identifier: Apache-2.0
// The component `mpi` of the package brings MPI along. One process, without mpirun.
#include <symopt/interop/mpi/communicator.hpp>

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  bool is_good = false;
  {
    const symopt::mpi::Communicator processes(MPI_COMM_WORLD);
    is_good = processes.size() == 1 && processes.gathered("alone").front() == "alone";
  }
  MPI_Finalize();
  return is_good ? 0 : 1;
}
