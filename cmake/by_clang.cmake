# SPDX-License-Identifier: Apache-2.0
# symopt_by_clang(targets ...) has Clang compile some of a build that is GCC's: without optimization it takes half of GCC's
# time for what instantiates most. GCC builds the rest, and everything with the preset `gcc`. Batches of a unity build are
# larger: what Clang takes for one file more does not grow with what it has seen.
include_guard()
find_program(SYMOPT_CLANG clang++)
set(SYMOPT_HAS_SECOND_COMPILER FALSE)
if(SYMOPT_CLANG AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(SYMOPT_HAS_SECOND_COMPILER TRUE)
endif()
option(SYMOPT_PARTS_BY_CLANG "Let Clang compile the largest tests and examples" ${SYMOPT_HAS_SECOND_COMPILER})

function(symopt_by_clang)
  if(SYMOPT_BUILD_TESTS AND SYMOPT_PARTS_BY_CLANG)
    set_target_properties(${ARGN} PROPERTIES UNITY_BUILD_BATCH_SIZE 9
      CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/by_clang;${SYMOPT_CLANG}")
    foreach(target IN LISTS ARGN)
      target_compile_options(${target} PRIVATE -O0)
    endforeach()
  endif()
endfunction()
