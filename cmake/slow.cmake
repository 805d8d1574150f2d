# SPDX-License-Identifier: Apache-2.0
# symopt_slow(programs ...): what a build with tests leaves out unless it has SYMOPT_SLOW_TESTS. Its tests are added under
# that option, and the programs can still be built by their names.
include_guard()
function(symopt_slow)
  if(SYMOPT_BUILD_TESTS AND NOT SYMOPT_SLOW_TESTS)
    set_target_properties(${ARGN} PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
endfunction()
