# SPDX-License-Identifier: Apache-2.0
# Builds for a device: of FLEET_DEVICE_ARCHITECTURE (aarch64, x86_64), with the headers and libraries below FLEET_SYSROOT
# (scripts/setup-sysroot). The compiler is Debian's cross compiler or, for its own architecture, the native one: both are
# called <architecture>-linux-gnu-gcc. They prefer headers, start files and libraries of their own release to those of the
# sysroot, in ways that differ, so all that is the device's is named here.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${FLEET_DEVICE_ARCHITECTURE})
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FLEET_DEVICE_ARCHITECTURE FLEET_SYSROOT)
if(NOT IS_DIRECTORY "${FLEET_SYSROOT}/usr/include")
  message(FATAL_ERROR "FLEET_SYSROOT=${FLEET_SYSROOT} has no usr/include (scripts/build-agent sets it)")
endif()

set(device_triple ${FLEET_DEVICE_ARCHITECTURE}-linux-gnu)
set(device_libraries ${FLEET_SYSROOT}/usr/lib/${device_triple})
set(CMAKE_C_COMPILER ${device_triple}-gcc)
set(CMAKE_CXX_COMPILER ${device_triple}-g++)
set(CMAKE_SYSROOT ${FLEET_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE ${device_triple})

# The C++ headers come first: they include the next header of the same name.
file(GLOB device_cxx_headers ${FLEET_SYSROOT}/usr/include/c++/* ${FLEET_SYSROOT}/usr/include/${device_triple}/c++/*)
file(GLOB device_gcc_libraries ${FLEET_SYSROOT}/usr/lib/gcc/${device_triple}/*)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include
  OUTPUT_VARIABLE device_compiler_headers OUTPUT_STRIP_TRAILING_WHITESPACE)
set(device_c_headers
  ${device_compiler_headers} ${FLEET_SYSROOT}/usr/include/${device_triple} ${FLEET_SYSROOT}/usr/include)
list(TRANSFORM device_c_headers PREPEND "-isystem ")
list(TRANSFORM device_cxx_headers PREPEND "-isystem ")
list(JOIN device_c_headers " " device_c_headers)
list(JOIN device_cxx_headers " " device_cxx_headers)
set(CMAKE_C_FLAGS_INIT "-nostdinc ${device_c_headers}")
set(CMAKE_CXX_FLAGS_INIT "-nostdinc ${device_cxx_headers} ${device_c_headers}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-B${device_libraries} -L${device_gcc_libraries}")

set(ENV{PKG_CONFIG_SYSROOT_DIR} ${FLEET_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${device_libraries}/pkgconfig:${FLEET_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
