// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

/// The file that Google Benchmark wrote of one run. Errors: std::runtime_error that names the file.
inline nlohmann::json read_run(const std::string& path) {
  std::ifstream file(path);
  nlohmann::json run = nlohmann::json::parse(file, nullptr, false);
  if (run.is_discarded()) throw std::runtime_error(path + " is no JSON of Google Benchmark");
  return run;
}

/// Times in milliseconds by the names of benchmarks.
using Medians = std::map<std::string, double>;

/// The medians of one run in milliseconds, by the names of the benchmarks.
inline Medians medians_of(const nlohmann::json& run) {
  const std::map<std::string, double> units{{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}};
  Medians medians;
  for (const auto& row : run.at("benchmarks")) {
    if (row.value("aggregate_name", "") != "median") continue;
    std::string name = row.at("run_name");
    if (const auto end = name.find("/real_time"); end != std::string::npos) name.resize(end);
    medians[name] = row.at("real_time").get<double>() * units.at(row.at("time_unit"));
  }
  return medians;
}

/// The median of a counter of one benchmark of a run; 0 where it has none.
inline double counter_of(const nlohmann::json& run, const std::string& benchmark, const char* counter) {
  for (const auto& row : run.at("benchmarks"))
    if (row.value("aggregate_name", "") == "median" &&
        row.at("run_name").get<std::string>().starts_with(benchmark + "/real_time"))
      return row.value(counter, 0.0);
  return 0;
}
