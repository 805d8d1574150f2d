# SPDX-License-Identifier: Apache-2.0
# Builds some tests as a preset does, in a folder of their own, and runs them.
#   cmake -D preset=tsan -D tests="one;two" -D compiler= -D source= -D folder= -P check.cmake
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

set(targets ${tests})
list(TRANSFORM targets APPEND _test)
list(JOIN tests "|" names)
run(${CMAKE_COMMAND} --preset ${preset} -S ${source} -B ${folder}/build -D CMAKE_CXX_COMPILER=${compiler}
  -D SYMOPT_BUILD_EXAMPLES=OFF)
run(${CMAKE_COMMAND} --build ${folder}/build --parallel 1 --target ${targets})
run(${CMAKE_CTEST_COMMAND} --test-dir ${folder}/build --output-on-failure --no-tests=error -R "^(${names})$")
message("${output}")
