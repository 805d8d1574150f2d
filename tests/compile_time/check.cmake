# SPDX-License-Identifier: Apache-2.0
# What symopt costs whoever includes it, in units of what <Eigen/Dense> costs: processor time of the compiler, the
# least of several runs, which take turns so that a disturbance of the machine hits all alike. And no translation
# unit gets an eigensolver unless it names polar::Exact.
#   cmake -D compiler= -D nm= -D source= -D eigen= -D folder= -P check.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY ${folder})

# What each may cost at most, in percent of <Eigen/Dense>, and how often it is compiled. The goals are 150, 400 and
# 800. The umbrella takes 190 to 216 and the head 470 to 520, the more the busier the machine is: the head grew by a
# fifth when kernels learnt to find numbers that would leave their range, and steps to take them back. Of the umbrella
# most are the headers of others (Eigen's core and its eigensolvers, for Exact; the standard library's, <memory> above
# all; Hana's). The bounds leave a tenth and more above the most that was measured.
set(most_umbrella 250)
set(most_lm_head 580)
set(most_hidden_matrix 800)
set(runs_eigen 4)
set(runs_umbrella 4)
set(runs_lm_head 3)
set(runs_hidden_matrix 1)
set(units eigen umbrella lm_head hidden_matrix)

# Compiles a unit, and sets `milliseconds` to the user time that this took.
function(compile unit)
  execute_process(
    COMMAND sh -c "\"$@\" && times" sh ${compiler} -std=c++20 -O2 -I ${source}/include -isystem ${eigen}
      -c ${CMAKE_CURRENT_LIST_DIR}/${unit}.cpp -o ${folder}/${unit}.o
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  # `times` prints user and system time of the shell, then of what it ran: 0m1.230000s 0m0.170000s
  if(NOT result EQUAL 0 OR NOT output MATCHES "\n([0-9]+)m([0-9]+)[.]([0-9][0-9])")
    message(FATAL_ERROR "${unit}: ${output}\n${errors}")
  endif()
  math(EXPR time "(${CMAKE_MATCH_1} * 60 + ${CMAKE_MATCH_2}) * 1000 + 1${CMAKE_MATCH_3} * 10 - 1000")
  set(milliseconds ${time} PARENT_SCOPE)
endfunction()

foreach(run RANGE 1 4)
  foreach(unit IN LISTS units)
    if(run GREATER runs_${unit})
      continue()
    endif()
    compile(${unit})
    if(NOT DEFINED least_${unit} OR milliseconds LESS least_${unit})
      set(least_${unit} ${milliseconds})
    endif()
  endforeach()
endforeach()

set(failures "")
foreach(unit IN LISTS units)
  math(EXPR percent "(100 * ${least_${unit}} + ${least_eigen} / 2) / ${least_eigen}")
  message("${unit}: ${least_${unit}} ms, ${percent} % of <Eigen/Dense>")
  if(DEFINED most_${unit} AND percent GREATER most_${unit})
    string(APPEND failures "${unit} takes ${percent} %, more than ${most_${unit}} %\n")
  endif()
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
