// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

// Files that all ranks of a test write and read.
namespace symopt_test {

/// A path that all ranks name alike.
inline std::filesystem::path shared_path(const std::string& name) {
  int process = static_cast<int>(::getpid());
  MPI_Bcast(&process, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return std::filesystem::temp_directory_path() /
         ("symopt_mpi_" + std::to_string(process) + "_" + name + ".safetensors");
}
/// A file at such a path, which is removed once all ranks are done with it.
struct SharedFile {
  std::filesystem::path path;
  explicit SharedFile(const std::string& name) : path(shared_path(name)) {}
  ~SharedFile() {
    int rank = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) std::filesystem::remove(path);
  }
};

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace symopt_test
