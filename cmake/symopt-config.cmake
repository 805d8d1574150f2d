# SPDX-License-Identifier: Apache-2.0
include(CMakeFindDependencyMacro)
find_dependency(Eigen3 3.4)
find_dependency(Boost 1.74)
include(${CMAKE_CURRENT_LIST_DIR}/symopt-targets.cmake)
