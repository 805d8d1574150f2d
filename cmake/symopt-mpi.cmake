# SPDX-License-Identifier: Apache-2.0
# symopt::mpi: symopt::symopt and MPI, for programs that include symopt/interop/mpi.hpp. Included by symopt's own build with
# SYMOPT_WITH_MPI, and by its installed package for find_package(symopt COMPONENTS mpi).
include_guard(GLOBAL)
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)  # the target below is global, so what it links has to be
find_package(MPI REQUIRED COMPONENTS CXX)
unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)

add_library(symopt::mpi INTERFACE IMPORTED GLOBAL)
target_link_libraries(symopt::mpi INTERFACE symopt::symopt MPI::MPI_CXX)
# The C++ bindings left MPI with its version 3; what is left of them is no part of a program.
target_compile_definitions(symopt::mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
