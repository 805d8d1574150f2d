// SPDX-License-Identifier: Apache-2.0
// What every benchmark's output says of the program and the machine that it ran on; and that all benchmarks
// had the same number of threads to use.
#include <symopt/configuration.hpp>

#include <benchmark/benchmark.h>

#include <omp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#if defined(__linux__)
extern "C" {
// Of OpenBLAS, where that is the BLAS: the kernel that it chose for this processor.
[[gnu::weak]] char* openblas_get_corename();
}
#endif

namespace {

/// The processor, as Linux names it.
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  return "unknown";
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("processor", processor());
  benchmark::AddCustomContext("symopt", symopt::configuration());
  const char* waiting = std::getenv("OMP_WAIT_POLICY");
  benchmark::AddCustomContext("OMP_WAIT_POLICY", waiting != nullptr ? waiting : "not set");
#if defined(__linux__)
  if (openblas_get_corename != nullptr) benchmark::AddCustomContext("OpenBLAS", openblas_get_corename());
#endif
  const int threads = omp_get_max_threads();
  benchmark::RunSpecifiedBenchmarks();
  if (omp_get_max_threads() != threads) {  // as libtorch does, where nobody tells it how many there are
    std::fprintf(stderr, "a benchmark changed the number of OpenMP's threads from %d to %d\n", threads,
                 omp_get_max_threads());
    return 1;
  }
}
