# SPDX-License-Identifier: Apache-2.0
# symopt::native: symopt::symopt with the flags of a program that runs on the machine that builds it: -O3, the
# instructions of its processor, and OpenMP where the compiler has it. They come after those of the build type.
# Included by symopt's own build and by its installed package.
include_guard(GLOBAL)
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)  # the target below is global, so what it links has to be
find_package(OpenMP QUIET COMPONENTS CXX)
unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)

add_library(symopt::native INTERFACE IMPORTED GLOBAL)
target_link_libraries(symopt::native INTERFACE symopt::symopt)
target_compile_options(symopt::native INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-O3 -march=native>)
if(OpenMP_CXX_FOUND)
  target_link_libraries(symopt::native INTERFACE OpenMP::OpenMP_CXX)
endif()

# Templates without optimization are the commonest reason for a slow first try.
get_property(symopt_is_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_PROJECT_NAME STREQUAL symopt AND NOT symopt_is_multi_config AND NOT CMAKE_BUILD_TYPE
   AND NOT CMAKE_CXX_FLAGS MATCHES "-O")
  message(NOTICE "symopt: no CMAKE_BUILD_TYPE is set, so only what links symopt::native is optimized; with symopt::symopt a \
step takes many times as long. Set it to Release.")
endif()
unset(symopt_is_multi_config)
