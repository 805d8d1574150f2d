// SPDX-License-Identifier: Apache-2.0
// mpirun -n 2 ranks FILE.json [pairs]: measures on two processes of this machine
//   links    the latency and bandwidth of what a step sends, as DistributedOptimizer sends it
//   steps    the steps of Qwen3-0.6B's kinds of blocks on one thread
//   ratio    a step of two ranks with one thread each against one process with two threads, in pairs
//            the ranks own blocks, or have rows of every matrix
//   counted  the bytes of such a step, by what is given to MPI, against the formulas of docs/distributed.md
// and writes them to FILE.json, from which ranks_page makes tables, predictions and a picture. 6 GiB in all.
#include "qwen3_stack.hpp"
#include "rows_of_model.hpp"

#include <symopt/interop/mpi/distributed_optimizer.hpp>

#include <mpi.h>
#include <omp.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

/// Bytes that this rank gave to MPI, by way.
struct Traffic {
  double sent = 0, received = 0;                    // from one rank to another
  double broadcast = 0, received_by_broadcast = 0;  // as the root, and as another rank
  double agreed = 0;                                // in Allreduce
  double gathered = 0;                              // from other ranks
};
Traffic traffic;

double bytes_of(int count, MPI_Datatype type) {
  int size = 0;
  PMPI_Type_size(type, &size);
  return static_cast<double>(size) * count;
}

}  // namespace

// Called in place of MPI's functions by what is compiled here.
extern "C" {
int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  traffic.sent += bytes_of(count, type);
  return PMPI_Isend(data, count, type, to, tag, comm, request);
}
int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request* request) {
  traffic.received += bytes_of(count, type);
  return PMPI_Irecv(data, count, type, from, tag, comm, request);
}
int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request* request) {
  int rank = 0;
  PMPI_Comm_rank(comm, &rank);
  (rank == root ? traffic.broadcast : traffic.received_by_broadcast) += bytes_of(count, type);
  return PMPI_Ibcast(data, count, type, root, comm, request);
}
int MPI_Iallreduce(const void* data, void* result, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request* request) {
  traffic.agreed += bytes_of(count, type);
  return PMPI_Iallreduce(data, result, count, type, op, comm, request);
}
int MPI_Iallgatherv(const void* from, int count, MPI_Datatype sent, void* to, const int counts[],
                    const int places[], MPI_Datatype received, MPI_Comm comm, MPI_Request* request) {
  int rank = 0, ranks = 0;
  PMPI_Comm_rank(comm, &rank);
  PMPI_Comm_size(comm, &ranks);
  for (int r = 0; r < ranks; ++r)
    if (r != rank) traffic.gathered += bytes_of(counts[r], received);
  return PMPI_Iallgatherv(from, count, sent, to, counts, places, received, comm, request);
}
}

namespace {

using namespace symopt;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

int rank_of() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

/// A barrier whose waiters sleep, so that the others have the cores.
void sleeping_barrier() {
  MPI_Request request;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  for (int is_done = 0; is_done == 0;) {
    MPI_Test(&request, &is_done, MPI_STATUS_IGNORE);
    if (is_done == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// The median time of one of `count` calls in a row, over several such rows that all ranks begin together.
double time_of(int count, const auto& call) {
  std::vector<double> times;
  for (int repetition = 0; repetition < 15; ++repetition) {
    MPI_Barrier(MPI_COMM_WORLD);
    const auto begin = Clock::now();
    for (int i = 0; i < count; ++i) call();
    times.push_back(seconds_since(begin) / count);
  }
  double most = median(times);
  MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return most;
}

nlohmann::json measure_links() {
  const int rank = rank_of(), other = 1 - rank;
  const auto wait = [](MPI_Request* requests, int count) {
    MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
  };
  constexpr int chunk = 1 << 16;     // numbers of a message of the gradient exchange
  constexpr int long_run = 1 << 24;  // numbers: 64 MiB
  std::vector<float> here(long_run, 1.0F), there(long_run, 2.0F);
  MPI_Request requests[2];
  const auto send = [&](int count) {
    PMPI_Isend(here.data(), count, MPI_FLOAT, other, 5, MPI_COMM_WORLD, requests);
    wait(requests, 1);
  };
  const auto receive = [&](int count) {
    PMPI_Irecv(there.data(), count, MPI_FLOAT, other, 5, MPI_COMM_WORLD, requests);
    wait(requests, 1);
  };
  const auto ping_pong = [&](int count) {
    if (rank == 0) {
      send(count);
      receive(count);
    } else {
      receive(count);
      send(count);
    }
  };
  const auto exchange = [&](int first, int count) {
    PMPI_Irecv(there.data() + first, count, MPI_FLOAT, other, 6, MPI_COMM_WORLD, requests);
    PMPI_Isend(here.data() + first, count, MPI_FLOAT, other, 6, MPI_COMM_WORLD, requests + 1);
    wait(requests, 2);
  };
  const auto broadcast = [&](int count) {
    PMPI_Ibcast(here.data(), count, MPI_FLOAT, 0, MPI_COMM_WORLD, requests);
    wait(requests, 1);
  };
  const auto agree = [&](int count, MPI_Datatype type, MPI_Op op) {
    PMPI_Iallreduce(MPI_IN_PLACE, here.data(), count, type, op, MPI_COMM_WORLD, requests);
    wait(requests, 1);
  };
  constexpr double bytes = 4.0 * long_run;
  nlohmann::json links;
  links["latency_s"] = time_of(1000, [&] { ping_pong(2); }) / 2;
  links["one_way_bytes_per_s"] = bytes / (time_of(1, [&] { ping_pong(long_run); }) / 2);
  links["exchange_bytes_per_s"] = bytes / time_of(1, [&] {
                                    for (int first = 0; first < long_run; first += chunk)
                                      exchange(first, chunk);
                                  });
  links["broadcast_latency_s"] = time_of(1000, [&] { broadcast(2); });
  links["broadcast_bytes_per_s"] = bytes / time_of(1, [&] { broadcast(long_run); });
  links["agreement_s"] = time_of(1000, [&] { agree(5, MPI_LONG_LONG, MPI_MAX); });
  std::fill(here.begin(), here.end(), 1e-6F);
  links["allreduce_bytes_per_s"] = bytes / time_of(1, [&] { agree(long_run, MPI_FLOAT, MPI_SUM); });
  std::vector<float> sum(long_run);
  links["sum_s_per_number"] = time_of(1,
                                      [&] {
                                        for (int first = 0; first < long_run; first += chunk)
                                          for (int i = first; i < first + chunk; ++i)
                                            sum[i] += there[i % chunk];
                                      }) /
                              long_run;
  return links;
}

/// The median step of one parameter on one thread, in seconds.
double step_of(const Qwen3Model& model, const char* name_end) {
  LayerwiseOptimizer stack;
  std::vector<NamedTensor<float>> one;
  for (const auto& tensor : model.tensors())
    if (tensor.name.ends_with(name_end) && one.empty()) one.push_back(tensor);
  stack.route(one, qwen3_roles());
  std::vector<double> times;
  for (int repetition = 0; repetition < 7; ++repetition) {
    const auto begin = Clock::now();
    stack.step();
    times.push_back(seconds_since(begin));
  }
  return median(times);
}

nlohmann::json measure_steps(const Qwen3Model& model) {
  omp_set_num_threads(1);
  using namespace qwen3_shape;
  return {{"embedding_s", step_of(model, "embed_tokens.weight")},
          {"head_s", step_of(model, "q_proj.weight") / query_heads},
          {"gate_s", step_of(model, "gate_proj.weight")},
          {"down_s", step_of(model, "down_proj.weight")}};
}

/// Steps of both kinds, one after the other, so that a disturbance of the machine hits both. `shared` has the
/// steps of two ranks.
nlohmann::json measure_pairs(const Qwen3Model& model, int layers, int pairs, auto& shared,
                             const auto& communication_seconds) {
  const int rank = rank_of();
  LayerwiseOptimizer alone;
  if (rank == 0) alone.route(model.tensors(), qwen3_roles());
  std::vector<double> of_one, of_two, messages, ratios;
  for (int pair = -1; pair < pairs; ++pair) {  // the first one takes memory, and does not count
    omp_set_num_threads(2);
    sleeping_barrier();
    auto begin = Clock::now();
    if (rank == 0) alone.step();
    const double one = seconds_since(begin);
    sleeping_barrier();
    omp_set_num_threads(1);
    MPI_Barrier(MPI_COMM_WORLD);
    const double before = communication_seconds();
    traffic = {};
    begin = Clock::now();
    shared.step();
    double two = seconds_since(begin);
    MPI_Allreduce(MPI_IN_PLACE, &two, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (pair < 0) continue;
    of_one.push_back(one);
    of_two.push_back(two);
    messages.push_back(communication_seconds() - before);
    ratios.push_back(one / two);
  }
  return {{"layers", layers},
          {"pairs", pairs},
          {"one_process_s", median(of_one)},
          {"two_ranks_s", median(of_two)},
          {"messages_s", median(messages)},
          {"ratio", median(ratios)},
          {"least_ratio", *std::min_element(ratios.begin(), ratios.end())},
          {"most_ratio", *std::max_element(ratios.begin(), ratios.end())}};
}

/// Bytes of one way, as they were given to MPI and as a formula has them.
struct Counted {
  const char* way;
  double counted, formula;
};

/// Those of both ranks.
nlohmann::json bytes_of_ranks(const std::vector<Counted>& own) {
  std::vector<double> numbers, of_both(4 * own.size());
  for (const Counted& one : own) {
    numbers.push_back(one.counted);
    numbers.push_back(one.formula);
  }
  const int count = static_cast<int>(numbers.size());
  MPI_Allgather(numbers.data(), count, MPI_DOUBLE, of_both.data(), count, MPI_DOUBLE, MPI_COMM_WORLD);
  nlohmann::json bytes;
  std::size_t next = 0;
  for (int rank = 0; rank < 2; ++rank)
    for (const Counted& one : own) {
      const double counted = of_both[next++], formula = of_both[next++];
      bytes.push_back({{"rank", rank}, {"way", one.way}, {"counted", counted}, {"formula", formula}});
    }
  return bytes;
}

nlohmann::json measure_owners(const Qwen3Model& model, int layers, mpi::Gradients gradients, int pairs) {
  mpi::DistributedOptimizer shared(MPI_COMM_WORLD, {}, {.gradients = gradients});
  shared.route(model.tensors(), qwen3_roles());
  shared.distribute();
  nlohmann::json result =
      measure_pairs(model, layers, pairs, shared, [&] { return shared.processes().communication_seconds(); });
  result["split"] = "owners";
  result["gradients"] = mpi::to_string(gradients);
  double own = 0, all = 0;  // bytes of blocks: of this rank, and of all
  for (const auto& tensor : model.tensors()) {
    const auto& sizes = tensor.weights.sizes();
    double numbers = 1;
    for (const Index size : sizes) numbers *= static_cast<double>(size);
    std::size_t blocks = 1;
    if (tensor.name.find("q_proj") != std::string::npos || tensor.name.find("o_proj") != std::string::npos)
      blocks = qwen3_shape::query_heads;
    if (tensor.name.find("k_proj") != std::string::npos || tensor.name.find("v_proj") != std::string::npos)
      blocks = qwen3_shape::key_value_heads;
    for (std::size_t block = 0; block < blocks; ++block)
      if (shared.owner(tensor.name, block) == rank_of()) own += 4 * numbers / static_cast<double>(blocks);
    all += 4 * numbers;
  }
  const bool sends = gradients != mpi::Gradients::as_given;
  result["bytes"] = bytes_of_ranks({{"gradients sent", traffic.sent, sends ? all - own : 0},
                                    {"gradients received", traffic.received, sends ? own : 0},
                                    {"weights broadcast", traffic.broadcast, own},
                                    {"weights received", traffic.received_by_broadcast, all - own},
                                    {"agreed", traffic.agreed, 40}});
  return result;
}

/// A sum of each down_proj's chunks, and an agreement of each parameter, gains too.
nlohmann::json measure_rows(const Qwen3Model& model, int layers, int pairs) {
  RowsOfModel shared(model);
  nlohmann::json result =
      measure_pairs(model, layers, pairs, shared, [&] { return shared.communication_seconds(); });
  result["split"] = "rows";
  result["gradients"] = "by rows";
  const Shape down{qwen3_shape::width, qwen3_shape::neurons};
  const auto own = mpi::row_partition(down, 2)[static_cast<std::size_t>(rank_of())];
  const Index chunk = kernel::reduction_chunks(down).rows_in_chunk;
  const Index others = (down.rows - (own.end - own.begin) + chunk - 1) / chunk;
  const auto lines = static_cast<double>(8 * others * down.cols);
  result["bytes"] = bytes_of_ranks({{"sums received", traffic.gathered, layers * lines},
                                    {"agreed", traffic.agreed, 8 * static_cast<double>(shared.size())}});
  return result;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0, size = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int result = EXIT_SUCCESS;
  if (argc < 2 || size != 2) {
    std::fprintf(stderr, "usage: mpirun -n 2 ranks FILE.json [pairs]\n");
    result = 2;
  } else {
    try {
      constexpr int layers = 2;
      const int pairs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 9;
      const Qwen3Model model(Qwen3Part::all, layers);
      nlohmann::json all;
      all["links"] = measure_links();
      for (const auto gradients : {mpi::Gradients::averaged, mpi::Gradients::as_given})
        all["ratios"].push_back(measure_owners(model, layers, gradients, pairs));
      all["ratios"].push_back(measure_rows(model, layers, pairs));
      if (rank_of() == 0) all["steps"] = measure_steps(model);  // whose weights then are no longer rank 1's
      sleeping_barrier();
      if (rank_of() == 0) {
        char date[32];
        const std::time_t now = std::time(nullptr);
        std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
        double load[1] = {0};
        (void)getloadavg(load, 1);
        all["context"] = {{"date", date},
                          {"processor", processor()},
                          {"cores", std::thread::hardware_concurrency()},
                          {"busy_programs", load[0]}};
        std::ofstream file(argv[1]);
        file.exceptions(std::ios::badbit | std::ios::failbit);
        file << all.dump(1) << '\n';
        std::printf("%s\n", all.dump(1).c_str());
        for (const auto& ratio : all["ratios"])
          for (const auto& bytes : ratio["bytes"])
            if (bytes["counted"] != bytes["formula"]) {
              std::fprintf(stderr, "ranks: the bytes are not those of the formulas\n");
              result = EXIT_FAILURE;
            }
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "ranks: %s\n", error.what());
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
  }
  MPI_Finalize();
  return result;
}
