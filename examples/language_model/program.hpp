// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>

#include "passive_threads.hpp"

namespace language_model {

/// The whole of a main(): parses the arguments, prints the usage where --help is among them, and otherwise
/// runs the program. Errors are printed behind its name, those of arguments with the usage.
/// @param parse throws std::invalid_argument
/// @param run   returns whether all that it checks holds
/// @returns the exit status
template <class Options>
int run_program(const char* name, int count, char** arguments, Options (*parse)(std::span<char* const>),
                bool (*run)(const Options&)) {
  ensure_passive_threads(arguments);
  try {
    const Options options = parse(std::span(arguments + 1, static_cast<std::size_t>(count) - 1));
    if (options.help) {
      std::cout << Options::usage;
      return EXIT_SUCCESS;
    }
    return run(options) ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::invalid_argument& error) {
    std::cerr << name << ": " << error.what() << "\n\n" << Options::usage;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}

}  // namespace language_model
