// SPDX-License-Identifier: Apache-2.0
// pictures FOLDER FILE.json ...: draws what benchmarks measured, by gnuplot, as SVG in FOLDER:
//   performance-spectral.svg   the default spectral step against its peers, by shape
//   performance-roofline.svg   steps under the limits of memory and products
//   performance-growth.svg     time by rows, columns, edge, experts and threads
// All of them are ratios within one run; a run that lacks the benchmarks of a picture is passed over.
#include "picture.hpp"
#include "run_file.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// Points of "prefix/x" in the order of x, with their medians.
std::vector<std::pair<double, double>> points(const Medians& medians, const std::string& prefix) {
  std::vector<std::pair<double, double>> found;
  for (const auto& [name, time] : medians)
    if (name.starts_with(prefix + "/")) found.emplace_back(std::stod(name.substr(prefix.size() + 1)), time);
  std::sort(found.begin(), found.end());
  return found;
}

void draw_spectral(const fs::path& folder, const Medians& medians) {
  struct Peer {
    const char *benchmark, *title, *colour;
  };
  constexpr Peer peers[] = {{"newton_schulz_blas", "Newton–Schulz, BLAS", "blue"},
                            {"newton_schulz_eigen", "by Eigen", "green"},
                            {"newton_schulz_torch", "libtorch", "orange"},
                            {"gram_newton_schulz", "symopt's Gram Newton–Schulz", "purple"}};
  const auto time = [&](const std::string& who, const std::string& shape) {
    const auto found = medians.find(who + "/spectral/" + shape);
    return found == medians.end() ? 0.0 : found->second;
  };
  std::ostringstream data;
  std::string plot;
  std::vector<std::string> shapes;
  for (const char* shape : {"768x768", "768x3072", "1024x1024", "2048x2048", "50304x768"})
    if (time("symopt", shape) > 0) shapes.push_back(shape);
  for (const std::string& shape : shapes) {
    data << '"' << shape << '"';
    for (const Peer& peer : peers) data << ' ' << time(peer.benchmark, shape) / time("symopt", shape);
    data << '\n';
  }
  int column = 1;
  for (const Peer& peer : peers) {
    ++column;
    double most = 0;
    for (const std::string& shape : shapes) most = std::max(most, time(peer.benchmark, shape));
    if (most == 0) continue;  // not in this run
    plot += std::string(plot.empty() ? "" : ", ") + "$data using " + std::to_string(column) +
            ":xtic(1) linecolor rgb " + peer.colour + " title \"" + peer.title + '"';
  }
  if (plot.empty()) return;
  draw(folder, "performance-spectral", "760,380", "$data << end\n" + data.str() + R"(end
set style data histogram
set style histogram cluster gap 1.5
set style fill solid 0.9 noborder
set boxwidth 0.9
set ylabel "time of the peer over time of symopt"
set yrange [0:*]
set key outside top center horizontal
set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb grey
plot )" + plot + "\n");
}

void draw_roofline(const fs::path& folder, const nlohmann::json& run) {
  const double peak = counter_of(run, "growth/limit/products", "flops");
  const double memory = counter_of(run, "growth/limit/memory", "bytes_per_second");
  if (peak == 0 || memory == 0) return;
  std::ostringstream rows, spectral;
  const auto add = [&](std::ostringstream& data, const std::string& benchmark, const std::string& label) {
    const double flops = counter_of(run, benchmark, "flops");
    const double bytes = counter_of(run, benchmark, "bytes_per_second");
    if (flops > 0) data << flops / bytes << ' ' << flops / peak << " \"" << label << "\"\n";
  };
  add(rows, "growth/rows/row norm/65536", "row norm");
  add(rows, "growth/rows/centred row norm/65536", "centred row norm");
  for (const char* edge : {"64", "128", "256", "512", "1024", "2048"})
    add(spectral, std::string("growth/edge/spectral/") + edge, edge);
  std::ostringstream limits;
  limits << "ridge = " << peak / memory << "\n";
  draw(folder, "performance-roofline", "620,420",
       limits.str() + "$rows << end\n" + rows.str() + "end\n$spectral << end\n" + spectral.str() + R"(end
set logscale xy
set xrange [0.1:1000]
set yrange [0.002:2]
set xlabel "flops per byte that must move"
set ylabel "flops, over those of the BLAS's product"
set key bottom right
plot (x < ridge ? x / ridge : 1) with lines linewidth 2 linecolor rgb grey title "limit: memory, then products", \
     $rows using 1:2 with points pointtype 7 pointsize 0.9 linecolor rgb orange title "norms", \
     $rows using 1:2:3 with labels offset 0.8,-0.6 left notitle, \
     $spectral using 1:2 with points pointtype 7 pointsize 0.9 linecolor rgb blue title "spectral step, k × k", \
     $spectral using 1:2:3 with labels offset 0,-1 notitle
)");
}

/// A step that grows, with the look that it has in every panel.
struct Series {
  const char *name, *colour;
  int point;
};
constexpr Series all_series[] = {{"row norm", "blue", 7},       {"centred row norm", "orange", 5},
                                 {"column norm", "green", 9},   {"spectral", "purple", 13},
                                 {"spectral 768", "purple", 4}, {"spectral 1024", "purple", 6},
                                 {"spectral 2048", "purple", 8}};

/// "with linespoints" and the look of a series.
std::string look(const Series& series) {
  return std::string(" with linespoints pointtype ") + std::to_string(series.point) +
         " pointsize 0.7 linewidth 1.6 linecolor rgb " + series.colour;
}

void draw_growth(const fs::path& folder, const Medians& medians) {
  struct Panel {
    const char *kind, *title, *label;
    bool is_speed;  // of threads: the first point over each, else each over the first
  };
  constexpr Panel panels[] = {{"rows", "rows × 768", "rows", false},
                              {"columns", "8192 × columns", "columns", false},
                              {"edge", "spectral, k × k", "k", false},
                              {"experts", "experts of 512 × 256", "experts", false},
                              {"threads", "speed by threads", "threads", true}};
  std::ostringstream script, key;
  script << "set multiplot layout 2,3 margins 0.085,0.97,0.105,0.94 spacing 0.11,0.17\n"
            "set grid xtics ytics\nunset key\n";
  int drawn = 0;
  for (const Panel& panel : panels) {
    std::ostringstream plot;
    double first_x = 0;
    for (const Series& series : all_series) {
      const auto found = points(medians, std::string("growth/") + panel.kind + "/" + series.name);
      if (found.empty()) continue;
      const std::string block = "$" + std::string(panel.kind) + std::to_string(&series - all_series);
      script << block << " << end\n";
      for (const auto& [x, time] : found) {
        const double first = found.front().second;
        script << x << ' ' << (panel.is_speed ? first / time : time / first) << '\n';
      }
      script << "end\n";
      first_x = found.front().first;
      plot << ", " << block << " using 1:2" << look(series);
    }
    if (plot.str().empty()) continue;
    ++drawn;
    const double power = std::string(panel.kind) == "edge" ? 3 : 1;
    script << "set title \"" << panel.title << "\" offset 0,-0.5\nset xlabel \"" << panel.label
           << "\" offset 0,0.4\nset ylabel \"" << (panel.is_speed ? "times as fast" : "time, over the first")
           << "\" offset 1.2,0\n"
           << (panel.is_speed
                   ? "unset logscale\nset xtics 1\nset ytics 0.5\nset xrange [0.8:*]\nset yrange [0:*]\n"
                   : "set logscale x 4\nset logscale y 4\nset xrange [*:*]\nset yrange [*:*]\n")
           << "plot (x / " << first_x << ") ** " << power << " with lines dashtype 2 linecolor rgb grey"
           << plot.str() << "\n";
  }
  if (drawn == 0) return;
  for (const Series& series : all_series)
    key << "NaN" << look(series) << " title \"" << series.name << "\", ";
  script << "unset logscale\nunset border\nunset tics\nunset grid\nunset title\nunset xlabel\nunset ylabel\n"
            "set xrange [0:1]\nset yrange [0:1]\nset key center left Left reverse spacing 1.15 samplen 2.5 "
            "maxrows 8\n"
            "plot "
         << key.str() << "NaN with lines dashtype 2 linecolor rgb grey title \"linear; cubic for k × k\"\n";
  draw(folder, "performance-growth", "830,600", script.str() + "unset multiplot\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: pictures FOLDER FILE.json ...\n");
    return 2;
  }
  try {
    const fs::path folder = fs::absolute(argv[1]);
    for (int i = 2; i < argc; ++i) {
      const nlohmann::json run = read_run(argv[i]);
      const Medians medians = medians_of(run);
      // Of the runs of spectral steps the default is drawn: not the one on a BLAS's products, nor the one
      // whose threads sleep between loops.
      if (fs::path(argv[i]).stem() == "spectral") draw_spectral(folder, medians);
      draw_roofline(folder, run);
      draw_growth(folder, medians);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pictures: %s\n", error.what());
    return 1;
  }
}
