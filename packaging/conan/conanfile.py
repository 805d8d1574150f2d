# SPDX-License-Identifier: Apache-2.0
"""Conan 2 recipe of symopt. In the root of the project: conan create packaging/conan"""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class SymoptConan(ConanFile):
    name = "symopt"
    description = "Optimizer updates that respect a symmetry"
    license = "Apache-2.0"
    topics = ("optimizer", "deep-learning", "symmetry", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"openmp": [True, False], "blas": [True, False]}
    default_options = {"openmp": False, "blas": False}
    no_copy_source = True

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self._root, "include", "symopt", "version.hpp"))
        self.version = ".".join(re.findall(r"#define SYMOPT_VERSION_\w+ (\d+)", text))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, src=self._root, dst=self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("eigen/3.4.0", transitive_headers=True)
        self.requires("boost/1.83.0", transitive_headers=True, options={"header_only": True})
        if self.options.blas:
            self.requires("openblas/0.3.27", transitive_headers=True, transitive_libs=True,
                          options={"build_lapack": True})

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for option in ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_C_LIBRARY", "WITH_TORCH"):
            toolchain.cache_variables["SYMOPT_" + option] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        # Conan writes the files for CMake and pkg-config itself, with the options below.
        rmdir(self, os.path.join(self.package_folder, "share"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "symopt")
        self.cpp_info.set_property("cmake_target_name", "symopt::symopt")
        self.cpp_info.set_property("pkg_config_name", "symopt")
        if self.options.openmp:
            for flags in (self.cpp_info.cxxflags, self.cpp_info.sharedlinkflags, self.cpp_info.exelinkflags):
                flags.append("/openmp" if self.settings.compiler == "msvc" else "-fopenmp")
        if self.options.blas:
            self.cpp_info.defines.append("SYMOPT_USE_BLAS")
