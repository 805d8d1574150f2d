# SPDX-License-Identifier: Apache-2.0
# What a release hands out: the targets `package` (the Debian packages, by CPack) and `single_header`
# (release/symopt.hpp). `./run package` makes both.
add_custom_target(single_header
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/release
  COMMAND ${CMAKE_COMMAND} -DINCLUDE=${CMAKE_CURRENT_SOURCE_DIR}/include -DHEADER=symopt/symopt.hpp
    -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/release/symopt.hpp
    -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/amalgamate.cmake
  VERBATIM)

set(SYMOPT_PACKAGE_CONTACT "symopt maintainers <maintainers@symopt.invalid>" CACHE STRING
    "Maintainer of the Debian packages, NAME <ADDRESS>. The default is an address that cannot exist: who hands \
packages out sets a real one")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/release)
set(CPACK_PACKAGE_CONTACT ${SYMOPT_PACKAGE_CONTACT})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# A program that is linked with the C library depends on a package of at least this version.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

# symopt_debian_package(group name section component description): the package `name` of a component, with the
# license where Debian looks for it.
macro(symopt_debian_package group name section component description)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} RENAME copyright
          COMPONENT ${group}_license EXCLUDE_FROM_ALL)
  list(APPEND CPACK_COMPONENTS_ALL ${component} ${group}_license)
  foreach(part IN ITEMS ${component} ${group}_license)
    string(TOUPPER ${part} part)
    set(CPACK_COMPONENT_${part}_GROUP ${group})
  endforeach()
  string(TOUPPER ${group} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${key}_DESCRIPTION "${description}")
endmacro()

# Headers only, so one package serves every architecture.
symopt_debian_package(cxx libsymopt-dev libdevel development
"Header-only C++20 library of optimizer updates for neural networks. The
group that acts on a weight block is a type; projection and normalization of
an equivariant update are derived from it at compile time.")
set(CPACK_DEBIAN_CXX_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_CXX_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4), libboost-dev (>= 1.74)")
set(CPACK_DEBIAN_CXX_PACKAGE_SUGGESTS "libtorch-dev, libopenblas-openmp-dev, nlohmann-json3-dev, libopenmpi-dev, libdlib-dev")

# The package of the C library is named by its SONAME, so that two of them may be installed beside each other.
if(SYMOPT_BUILD_C_LIBRARY)
  get_directory_property(soversion DIRECTORY ${PROJECT_SOURCE_DIR}/c DEFINITION symopt_c_soversion)
  symopt_debian_package(c_library libsymopt${soversion} libs c_runtime
"C library: the layerwise optimizer over flat buffers, for programs in C and
all that call C.")
  set(CPACK_DEBIAN_C_LIBRARY_PACKAGE_SHLIBDEPS ON)
  symopt_debian_package(c_headers libsymopt-c-dev libdevel c_development
"Header of the C library, and its files for CMake and pkg-config.")
  set(CPACK_DEBIAN_C_HEADERS_PACKAGE_DEPENDS "libsymopt${soversion} (= ${PROJECT_VERSION}-1)")
endif()
include(CPack)
