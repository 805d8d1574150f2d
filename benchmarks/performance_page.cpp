// SPDX-License-Identifier: Apache-2.0
// performance_page FOLDER FILE.json ...   keeps the medians of a run in FOLDER/performance.json, and writes
// the
//                                         tables of FOLDER/performance.md from them
// performance_page FOLDER                 writes the tables from the medians that are kept
// performance_page --check FOLDER         fails if the page says anything else
// A table stands between <!-- table NAME --> and <!-- end of table -->. So no figure of the page is typed.
#include "page_tables.hpp"
#include "targets.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

namespace fs = std::filesystem;

/// The medians of a run by the name of the program, "row" for row.json, and what it says of the machine.
struct Run {
  std::map<std::string, Medians> medians;
  std::map<std::string, nlohmann::json> contexts;

  /// Of all programs whose names do not collide: those with symopt's own products, all instructions and
  /// threads awake.
  Medians together() const {
    Medians all;
    for (const auto& [program, times] : medians)
      if (program != "spectral_blas" && program != "spectral_passive" && program != "row_avx2")
        all.insert(times.begin(), times.end());
    return all;
  }
  double of(const std::string& program, const std::string& benchmark) const {
    const auto times = medians.find(program);
    if (times == medians.end()) return 0;
    const auto time = times->second.find(benchmark);
    return time == times->second.end() ? 0 : time->second;
  }
};

nlohmann::json condensed(int count, char** files) {
  nlohmann::json all;
  for (int i = 0; i < count; ++i) {
    const nlohmann::json run = read_run(files[i]);
    nlohmann::json& kept = all[fs::path(files[i]).stem().string()];
    for (const char* key : {"date", "processor", "num_cpus", "load_avg", "symopt", "OpenBLAS"})
      if (run.at("context").contains(key)) kept["context"][key] = run.at("context").at(key);
    for (const auto& [name, time] : medians_of(run)) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.4g", time);
      kept["ms"][name] = std::stod(digits);
    }
  }
  return all;
}

Run read_kept(const fs::path& path) {
  Run run;
  const nlohmann::json kept = read_run(path.string());
  for (const auto& [program, measured] : kept.items()) {
    run.contexts[program] = measured.at("context");
    for (const auto& [name, time] : measured.at("ms").items()) run.medians[program][name] = time;
  }
  return run;
}

std::string number(double value, const char* format = "%.2f") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// Times in milliseconds with three digits.
std::string milliseconds(double time) {
  return number(time, time >= 100 ? "%.0f" : time >= 10 ? "%.1f" : "%.2f");
}

std::string machine(const Run& run) {
  std::ostringstream text;
  const auto any = run.contexts.find("spectral") != run.contexts.end() ? run.contexts.find("spectral")
                                                                       : run.contexts.begin();
  if (any == run.contexts.end()) return "";
  const nlohmann::json& context = any->second;
  text << "- " << context.value("processor", "?") << ", " << context.value("num_cpus", 0) << " cores; "
       << context.value("symopt", "?");
  if (context.contains("OpenBLAS"))
    text << "; OpenBLAS's kernel " << context.at("OpenBLAS").get<std::string>();
  text << "\n";
  for (const auto& [program, each] : run.contexts) {
    text << "- `" << program << "` " << each.value("date", "").substr(0, 16);
    if (each.contains("load_avg") && !each.at("load_avg").empty())
      text << ", with " << number(each.at("load_avg")[0].get<double>(), "%.1f")
           << " busy programs before it began";
    text << "\n";
  }
  return text.str();
}

/// The targets of one table, each with what holds it where the goal is missed.
/// @throws std::runtime_error where nothing that was measured shows it
std::string target_table(const std::string& name, const Medians& medians) {
  std::ostringstream text;
  text << "| step | against | reached | goal | what holds it |\n|---|---|---|---|---|\n";
  for (const Target& target : targets()) {
    if (target.table != name) continue;
    const double reached = target.ratio.of(medians);
    if (reached == 0) continue;
    text << "| " << target.step << " | " << target.against << " | " << number(reached) << " | "
         << (target.goal > 0 ? number(target.goal) : "") << " | ";
    std::string held;
    if (reached < target.goal)
      for (const Holder& holder : target.holders) {
        const double figure = holder.ratio.of(medians);
        if (figure == 0) continue;
        std::string words = holder.words;
        held += (held.empty() ? "" : ", ") + words.replace(words.find("{}"), 2, number(figure));
      }
    if (reached < target.goal && held.empty())
      throw std::runtime_error(target.step + " against " + target.against +
                               " misses its goal, and nothing says why");
    text << held << " |\n";
  }
  return text.str();
}

/// Steps whose threads sleep between loops against those whose threads wait awake.
std::string waiting_table(const Run& run) {
  std::ostringstream text;
  text << "| block | awake, ms | asleep, ms | lost, ms | asleep, against the BLAS's Newton–Schulz |\n"
          "|---|---|---|---|---|\n";
  for (const Target& target : targets()) {
    if (target.table != "spectral" || target.against != "Newton–Schulz by the BLAS") continue;
    const double awake = run.of("spectral", target.ratio.benchmark),
                 asleep = run.of("spectral_passive", target.ratio.benchmark),
                 peer = run.of("spectral_passive", target.ratio.peer);
    if (awake == 0 || asleep == 0) continue;
    text << "| " << target.step << " | " << milliseconds(awake) << " | " << milliseconds(asleep) << " | "
         << number(asleep - awake) << " | " << number(peer / asleep) << " |\n";
  }
  const double awake = run.of("spectral", "loop/empty"), asleep = run.of("spectral_passive", "loop/empty");
  if (awake > 0 && asleep > 0)
    text << "| a loop without work | " << number(awake, "%.4f") << " | " << number(asleep, "%.4f") << " | "
         << number(asleep - awake, "%.4f") << " | |\n";
  return text.str();
}

std::string blas_table(const Run& run) {
  std::ostringstream text;
  text << "| block | against the BLAS's Newton–Schulz |\n|---|---|\n";
  const auto blas = run.medians.find("spectral_blas");
  for (const Target& target : targets())
    if (target.table == "spectral" && target.against == "Newton–Schulz by the BLAS" &&
        blas != run.medians.end())
      if (const double reached = target.ratio.of(blas->second); reached > 0)
        text << "| " << target.step << " | " << number(reached) << " |\n";
  return text.str();
}

/// Steps by the instructions of AVX-512 and of AVX2 alone, against the same limits.
std::string avx2_table(const Run& run) {
  std::ostringstream text;
  text << "| step | against | all instructions | AVX2 |\n|---|---|---|---|\n";
  const auto row = run.medians.find("row"), avx2 = run.medians.find("row_avx2");
  if (row == run.medians.end() || avx2 == run.medians.end()) return text.str();
  for (const Target& target : targets()) {
    if (target.table != "rows" && target.table != "moments") continue;
    const double all = target.ratio.of(row->second), less = target.ratio.of(avx2->second);
    if (all == 0 || less == 0) continue;
    text << "| " << target.step << " | " << target.against << " | " << number(all) << " | " << number(less)
         << " |\n";
  }
  return text.str();
}

std::string table(const std::string& name, const Run& run) {
  const std::string text = name == "machine"   ? machine(run)
                           : name == "waiting" ? waiting_table(run)
                           : name == "blas"    ? blas_table(run)
                           : name == "avx2"    ? avx2_table(run)
                                               : target_table(name, run.together());
  const auto lines = std::count(text.begin(), text.end(), '\n');
  return lines > (name == "machine" ? 0 : 2) ? text : "Not measured yet: `./run bench --page` does it.\n";
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_check = argc == 3 && std::string(argv[1]) == "--check";
  if (argc < 2 || (argc == 2 && argv[1][0] == '-')) {
    std::fprintf(stderr, "usage: performance_page [--check] FOLDER [FILE.json ...]\n");
    return 2;
  }
  try {
    const fs::path folder = is_check ? argv[2] : argv[1];
    const fs::path kept = folder / "performance.json", page = folder / "performance.md";
    if (!is_check && argc > 2) std::ofstream(kept) << condensed(argc - 2, argv + 2).dump(1) << '\n';
    const std::string before = read_page(page),
                      after = with_tables(before, [run = read_kept(kept)](const std::string&name) {
                        return table(name, run);
                      });
    if (is_check && before != after) throw std::runtime_error(page.string() + " is not what its run says");
    if (!is_check) std::ofstream(page) << after;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "performance_page: %s\n", error.what());
    return 1;
  }
}
