# SPDX-License-Identifier: Apache-2.0
# An overlay port that builds the checkout it lies in:
#   vcpkg install symopt --overlay-ports=packaging/vcpkg
# A registry takes a release instead: replace the next line by vcpkg_from_github or vcpkg_download_distfile.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
  FEATURES
    blas SYMOPT_USE_BLAS
    openmp SYMOPT_USE_OPENMP
)

# Headers only: there is nothing to debug.
set(VCPKG_BUILD_TYPE release)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${FEATURE_OPTIONS}
    -DSYMOPT_BUILD_TESTS=OFF
    -DSYMOPT_BUILD_EXAMPLES=OFF
    -DSYMOPT_WITH_TORCH=OFF
    -DSYMOPT_BUILD_C_LIBRARY=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/symopt)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
