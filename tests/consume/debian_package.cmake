# SPDX-License-Identifier: Apache-2.0
# Installs the package with dpkg, has a consumer find it, and removes it again.
#   cmake -DRELEASE=folder -DVERSION=0.1.0 -DWORK=folder -DCTEST=... -DGENERATOR=... -DCOMPILER=... -P debian_package.cmake
# dpkg works on a root folder of its own, with a copy of this machine's list of installed packages: what the
# package depends on must be installed here, but nothing here is changed, whoever runs the tests.
file(GLOB package ${RELEASE}/libsymopt-dev_*.deb)
list(LENGTH package count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "${RELEASE} should hold one package, not: ${package}")
endif()

function(run result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}${errors}")
  endif()
  string(STRIP "${output}" output)
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

function(expect_field field expected)
  run(value dpkg-deb --field ${package} ${field})
  if(NOT value STREQUAL expected)
    message(FATAL_ERROR "${field} of the package is\n  ${value}\nand should be\n  ${expected}")
  endif()
endfunction()
expect_field(Package libsymopt-dev)
expect_field(Version ${VERSION}-1)
expect_field(Architecture all)
expect_field(Depends "libeigen3-dev (>= 3.4), libboost-dev (>= 1.74)")

set(root ${WORK}/root)
set(database ${root}/var/lib/dpkg)
set(dpkg dpkg --root=${root} --force-not-root --log=${WORK}/dpkg.log)
file(REMOVE_RECURSE ${root} ${WORK}/consumer)
file(MAKE_DIRECTORY ${database}/info ${database}/updates ${database}/triggers)

# An empty machine lacks what the package needs: dpkg must say so by name.
file(WRITE ${database}/status "")
execute_process(COMMAND ${dpkg} --install ${package} OUTPUT_QUIET ERROR_VARIABLE refusal RESULT_VARIABLE status)
if(status EQUAL 0 OR NOT refusal MATCHES "depends on libeigen3-dev" OR NOT refusal MATCHES "depends on libboost-dev")
  message(FATAL_ERROR "dpkg should miss Eigen and Boost, but says (${status}):\n${refusal}")
endif()

file(REMOVE_RECURSE ${root} ${WORK}/consumer)
file(MAKE_DIRECTORY ${database}/info ${database}/updates ${database}/triggers)
file(COPY_FILE /var/lib/dpkg/status ${database}/status)
run(ignored ${dpkg} --install ${package})
run(state dpkg-query --admindir=${database} --show --showformat=\${db:Status-Status} libsymopt-dev)
if(NOT state STREQUAL "installed")
  message(FATAL_ERROR "dpkg calls the package ${state}, not installed")
endif()

run(ignored ${CTEST} --build-and-test ${CMAKE_CURRENT_LIST_DIR}/small ${WORK}/consumer
  --build-generator ${GENERATOR}
  --build-options -DCMAKE_PREFIX_PATH=${root}/usr -DCMAKE_CXX_COMPILER=${COMPILER}
                  -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
  --test-command small_consumer)
file(STRINGS ${WORK}/consumer/CMakeCache.txt found REGEX "^symopt_DIR:")
if(NOT found STREQUAL "symopt_DIR:PATH=${root}/usr/share/cmake/symopt")
  message(FATAL_ERROR "the consumer found another symopt: ${found}")
endif()

run(ignored ${dpkg} --remove libsymopt-dev)
file(GLOB_RECURSE left ${root}/usr/*)
if(left)
  message(FATAL_ERROR "removing the package leaves ${left}")
endif()
