# SPDX-License-Identifier: Apache-2.0
# What symopt costs whoever includes it, in units of what <Eigen/Dense> costs. GCC says how much memory it asked for while
# it compiled: the same on every run, however busy the machine is, so that is what the bounds are for. The processor time
# is printed beside it, and has a wide bound that only catches what memory does not show. And no translation unit gets an
# eigensolver unless it names polar::Exact.
#   cmake -D compiler= -D nm= -D source= -D eigen= -D folder= -P check.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY ${folder})

# What each may cost at most, in percent of <Eigen/Dense>. Memory: 178, 230 and 251 were measured, so a bound leaves a
# fortieth, and one header such as <regex> too many is found. Time: the goals are 150, 400 and 800, and 172 to 250, 400
# to 520 and 440 to 640 were measured, the more the busier the machine was. Of the umbrella most are the headers of others
# (Eigen's core and its eigensolvers, for Exact; the standard library's, <memory> above all; Hana's).
set(most_memory_umbrella 184)
set(most_memory_lm_head 236)
set(most_memory_hidden_matrix 257)
set(most_time_umbrella 400)
set(most_time_lm_head 900)
set(most_time_hidden_matrix 1100)
set(units eigen umbrella lm_head hidden_matrix)

# GCC counts what it holds at the end: all that it ever asked for, when it collects no garbage. Clang counts nothing.
execute_process(COMMAND ${compiler} --version OUTPUT_VARIABLE version COMMAND_ERROR_IS_FATAL ANY)
set(report "")
if(version MATCHES "Free Software Foundation")
  set(report -fmem-report --param ggc-min-expand=1000000 --param ggc-min-heapsize=100000000)
endif()

# Compiles a unit, and sets `milliseconds` to the user time that this took and, where the compiler is GCC, `megabytes` to
# the memory that it allocated.
function(compile unit)
  execute_process(
    COMMAND sh -c "\"$@\" && times" sh ${compiler} -std=c++20 -O2 ${report} -I ${source}/include -isystem ${eigen}
      -c ${CMAKE_CURRENT_LIST_DIR}/${unit}.cpp -o ${folder}/${unit}.o
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  # `times` prints user and system time of the shell, then of what it ran: 0m1.230000s 0m0.170000s
  if(NOT result EQUAL 0 OR NOT output MATCHES "\n([0-9]+)m([0-9]+)[.]([0-9][0-9])")
    message(FATAL_ERROR "${unit}: ${output}\n${errors}")
  endif()
  math(EXPR time "(${CMAKE_MATCH_1} * 60 + ${CMAKE_MATCH_2}) * 1000 + 1${CMAKE_MATCH_3} * 10 - 1000")
  set(milliseconds ${time} PARENT_SCOPE)
  if(report AND NOT errors MATCHES "\nTotal +([0-9]+)M ")
    message(FATAL_ERROR "no total in the compiler's report of ${unit}: ${errors}")
  endif()
  set(megabytes "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

function(percent_of_eigen amount of_eigen result)
  math(EXPR percent "(100 * ${amount} + ${of_eigen} / 2) / ${of_eigen}")
  set(${result} ${percent} PARENT_SCOPE)
endfunction()

set(failures "")
foreach(unit IN LISTS units)
  compile(${unit})
  if(unit STREQUAL "eigen")
    set(milliseconds_of_eigen ${milliseconds})
    set(megabytes_of_eigen "${megabytes}")
  endif()
  percent_of_eigen(${milliseconds} ${milliseconds_of_eigen} time)
  set(line "${unit}: ${milliseconds} ms, ${time} % of <Eigen/Dense>")
  if(DEFINED most_time_${unit} AND time GREATER most_time_${unit})
    string(APPEND failures "${unit} takes ${time} % of the time, more than ${most_time_${unit}} %\n")
  endif()
  if(report)
    percent_of_eigen(${megabytes} ${megabytes_of_eigen} memory)
    string(APPEND line "; ${megabytes} MB, ${memory} %")
    if(DEFINED most_memory_${unit} AND memory GREATER most_memory_${unit})
      string(APPEND failures "${unit} takes ${memory} % of the memory, more than ${most_memory_${unit}} %\n")
    endif()
  endif()
  message("${line}")
endforeach()

# The control shows that an eigensolver would be seen.
compile(exact)
foreach(unit umbrella lm_head hidden_matrix exact)
  execute_process(COMMAND ${nm} --demangle ${folder}/${unit}.o OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "[^\n]*(EigenSolver|tridiagonal|SVD)[^\n]*" solver "${symbols}")
  if(unit STREQUAL "exact" AND NOT solver)
    string(APPEND failures "no eigensolver is found where there is one\n")
  elseif(NOT unit STREQUAL "exact" AND solver)
    string(APPEND failures "${unit} has an eigensolver: ${solver}\n")
  endif()
endforeach()
if(failures)
  message(FATAL_ERROR "${failures}")
endif()
