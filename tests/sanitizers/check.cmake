# SPDX-License-Identifier: Apache-2.0
# Builds one program of tests with a preset's sanitizers, in a folder of its own, and runs it.
#   cmake -D preset=tsan -D target=uses_threads_tests -D compiler= -D source= -D folder= -P check.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Without such a runtime the smallest of programs cannot be linked, or does not run: that of ThreadSanitizer may not
# know how a newer kernel lays out memory.
file(READ ${source}/CMakePresets.json presets)
string(JSON count LENGTH "${presets}" configurePresets)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON name GET "${presets}" configurePresets ${i} name)
  if(name STREQUAL preset)
    string(JSON flags GET "${presets}" configurePresets ${i} cacheVariables CMAKE_CXX_FLAGS)
  endif()
endforeach()
string(REGEX MATCH "-fsanitize=[a-z,]+" sanitize "${flags}")
if(NOT sanitize)
  message(FATAL_ERROR "the preset ${preset} has no -fsanitize")
endif()
file(WRITE ${folder}/smallest.cpp "int main() {}\n")
execute_process(COMMAND ${compiler} ${sanitize} ${folder}/smallest.cpp -o ${folder}/smallest
  RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
if(result EQUAL 0)
  execute_process(COMMAND ${folder}/smallest RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
endif()
if(NOT result EQUAL 0)
  message("skipped: no program of ${compiler} ${sanitize} runs here")
  return()
endif()

# The loops over memory are the same for both scalars. Without optimization, since compiling is most of what this costs.
string(REPLACE "-O1" "-O0" flags "${flags}")
if(compiler MATCHES "clang")
  string(REPLACE "-Wno-maybe-uninitialized" "" flags "${flags}")
endif()
run(${CMAKE_COMMAND} --preset ${preset} -S ${source} -B ${folder}/build -D CMAKE_CXX_COMPILER=${compiler}
  "-DCMAKE_CXX_FLAGS=${flags} -DSYMOPT_TEST_SCALARS=float" -D SYMOPT_BUILD_EXAMPLES=OFF)
run(${CMAKE_COMMAND} --build ${folder}/build --parallel 1 --target ${target})
run(${folder}/build/tests/${target})
if(NOT output MATCHES "test cases: +[1-9]")
  message(FATAL_ERROR "no test ran:\n${output}")
endif()
message("${output}")
