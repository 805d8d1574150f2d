# SPDX-License-Identifier: Apache-2.0
# symopt_thorough(programs ...) and symopt_slow(programs ...): what a build with tests leaves out unless it has
# SYMOPT_THOROUGH_TESTS, or SYMOPT_SLOW_TESTS. Their tests are added under the same option, and the programs can still be
# built by their names.
include_guard()
function(symopt_leave_out_unless option)
  if(SYMOPT_BUILD_TESTS AND NOT ${option})
    set_target_properties(${ARGN} PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
endfunction()
macro(symopt_thorough)
  symopt_leave_out_unless(SYMOPT_THOROUGH_TESTS ${ARGN})
endmacro()
macro(symopt_slow)
  symopt_leave_out_unless(SYMOPT_SLOW_TESTS ${ARGN})
endmacro()
