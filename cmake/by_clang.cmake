# SPDX-License-Identifier: Apache-2.0
# symopt_by_clang(targets ... [OPTIMIZE -O1]) has Clang compile some of a build that is GCC's: without optimization, or with
# little where a test runs long, it takes a third to two thirds of GCC's time for what instantiates most. GCC builds the
# rest, and everything with the preset `gcc`. Batches of a unity build are larger: what Clang takes for one file more does
# not grow with what it has seen.
include_guard()
find_program(SYMOPT_CLANG clang++)
set(SYMOPT_HAS_SECOND_COMPILER FALSE)
if(SYMOPT_CLANG AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(SYMOPT_HAS_SECOND_COMPILER TRUE)
endif()
option(SYMOPT_PARTS_BY_CLANG "Let Clang compile the largest tests and examples" ${SYMOPT_HAS_SECOND_COMPILER})

function(symopt_by_clang)
  cmake_parse_arguments(PARSE_ARGV 0 by_clang "" OPTIMIZE "")
  set(targets ${by_clang_UNPARSED_ARGUMENTS})
  if(NOT by_clang_OPTIMIZE)
    set(by_clang_OPTIMIZE -O0)
  endif()
  if(SYMOPT_BUILD_TESTS AND SYMOPT_PARTS_BY_CLANG)
    set_target_properties(${targets} PROPERTIES UNITY_BUILD_BATCH_SIZE 9
      CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/by_clang;${SYMOPT_CLANG}")
    foreach(target IN LISTS targets)
      target_compile_options(${target} PRIVATE ${by_clang_OPTIMIZE})
    endforeach()
  endif()
endfunction()
