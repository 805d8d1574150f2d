// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

/// The beginning of every picture.
inline constexpr const char* picture_style = R"(set border 3 linecolor "#606060"
set tics nomirror out scale 0.6
set grid ytics linecolor "#dddddd" linetype 1
blue = "#1560a8"
orange = "#d1600a"
green = "#2a8a4a"
purple = "#7a4a9a"
grey = "#606060"
)";

/// Lets gnuplot run a script in the folder, where the SVG is then.
inline void draw(const std::filesystem::path& folder, const std::string& name, const std::string& size,
                 const std::string& body) {
  const std::filesystem::path script = std::filesystem::temp_directory_path() / (name + ".gnuplot");
  std::ofstream(script) << "set terminal svg size " << size
                        << " font \"sans-serif,13\" background \"#ffffff\"\nset output \""
                        << (folder / (name + ".svg")).string() << "\"\n"
                        << picture_style << body;
  // The shell gets the path through the environment, so that no character in it needs quoting.
  ::setenv("SYMOPT_PICTURE", script.c_str(), 1);
  if (std::system("gnuplot \"$SYMOPT_PICTURE\"") != 0)
    throw std::runtime_error("gnuplot could not draw " + name + ".svg; its package is gnuplot-nox");
  std::printf("%s\n", (folder / (name + ".svg")).string().c_str());
}
