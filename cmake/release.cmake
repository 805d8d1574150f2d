# SPDX-License-Identifier: Apache-2.0
# What a release hands out: the targets `package` (libsymopt-dev_VERSION_all.deb, by CPack) and `single_header`
# (release/symopt.hpp). `./run package` makes both.
add_custom_target(single_header
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/release
  COMMAND ${CMAKE_COMMAND} -DINCLUDE=${CMAKE_CURRENT_SOURCE_DIR}/include -DHEADER=symopt/symopt.hpp
    -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/release/symopt.hpp
    -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/amalgamate.cmake
  VERBATIM)

# Debian's place of the license; part of the package alone.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libsymopt-dev RENAME copyright
        COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/release)
set(CPACK_PACKAGE_CONTACT "symopt maintainers <maintainers@symopt.invalid>" CACHE STRING
    "The maintainer that the package names")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION
"Header-only C++20 library of optimizer updates for neural networks. The
group that acts on a weight block is a type; projection and normalization of
an equivariant update are derived from it at compile time.")
set(CPACK_STRIP_FILES OFF)

# Headers only, so one package serves every architecture; it holds the two components and nothing that is built.
set(CPACK_COMPONENTS_ALL development debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_NAME libsymopt-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4), libboost-dev (>= 1.74)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libtorch-dev, libopenblas-openmp-dev")
include(CPack)
