# SPDX-License-Identifier: Apache-2.0
# symopt_by_clang(targets ... [OPTIMIZE -O1]) has Clang compile some of a build that is GCC's: without optimization, or with
# little where a test runs long, it takes a third to two thirds of GCC's time for what instantiates most. GCC builds the
# rest, and everything with the preset `gcc`. Batches of a unity build are larger: what Clang takes for one file more does
# not grow with what it has seen. What most of them instantiate, tests/support/common.hpp, is compiled once: as a
# precompiled header with code, which halves the time of what is not optimized. symopt_by_clang(... ALONE) does without.
include_guard()
find_program(SYMOPT_CLANG clang++)
set(SYMOPT_HAS_SECOND_COMPILER FALSE)
if(SYMOPT_CLANG AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(SYMOPT_HAS_SECOND_COMPILER TRUE)
endif()
option(SYMOPT_PARTS_BY_CLANG "Let Clang compile the largest tests and examples" ${SYMOPT_HAS_SECOND_COMPILER})

set(symopt_common ${CMAKE_BINARY_DIR}/by_clang/common)
function(symopt_add_common)
  set(header ${PROJECT_SOURCE_DIR}/tests/support/common.hpp)
  get_target_property(eigen Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/by_clang)
  add_custom_command(OUTPUT ${symopt_common}.pch
    COMMAND ${SYMOPT_CLANG} -std=gnu++20 -O0 -DBOOST_ALL_NO_LIB -I${PROJECT_SOURCE_DIR}/include -isystem ${eigen}
      -fpch-instantiate-templates -fpch-codegen -MD -MF ${symopt_common}.d -MT ${symopt_common}.pch
      -x c++-header ${header} -o ${symopt_common}.pch
    DEPENDS ${header} DEPFILE ${symopt_common}.d VERBATIM)
  add_custom_command(OUTPUT ${symopt_common}.o
    COMMAND ${SYMOPT_CLANG} -O0 -c ${symopt_common}.pch -o ${symopt_common}.o
    DEPENDS ${symopt_common}.pch VERBATIM)
  add_custom_target(symopt_common DEPENDS ${symopt_common}.pch ${symopt_common}.o)
endfunction()
if(SYMOPT_BUILD_TESTS AND SYMOPT_PARTS_BY_CLANG)
  symopt_add_common()
endif()

function(symopt_by_clang)
  cmake_parse_arguments(PARSE_ARGV 0 by_clang ALONE OPTIMIZE "")
  set(targets ${by_clang_UNPARSED_ARGUMENTS})
  if(by_clang_OPTIMIZE)
    set(by_clang_ALONE TRUE)
  else()
    set(by_clang_OPTIMIZE -O0)
  endif()
  if(SYMOPT_BUILD_TESTS AND SYMOPT_PARTS_BY_CLANG)
    set_target_properties(${targets} PROPERTIES UNITY_BUILD_BATCH_SIZE 9
      CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/by_clang;${SYMOPT_CLANG}")
    foreach(target IN LISTS targets)
      target_compile_options(${target} PRIVATE ${by_clang_OPTIMIZE})
      if(NOT by_clang_ALONE)
        add_dependencies(${target} symopt_common)
        target_compile_options(${target} PRIVATE "SHELL:-include-pch ${symopt_common}.pch" -fpch-instantiate-templates)
        target_link_libraries(${target} PUBLIC ${symopt_common}.o)
      endif()
    endforeach()
  endif()
endfunction()
