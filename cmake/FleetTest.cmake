# SPDX-License-Identifier: Apache-2.0
# fleet_test(<executable> SOURCES … [USES rooms…] LABEL unit|check|host|pod|vm|fault [FIXTURES name…] [TIMEOUT s]
#            [ENVIRONMENT NAME=value…] [PROCESSORS n] [SERIAL])
# Every FLEET_TEST(suite, name, …) line of the sources becomes the CTest test "suite.name". A filter that matches no
# test must not pass, and a skip is "Skipped" in CTest.
function(fleet_test executable)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "SOURCES;USES;FIXTURES;ENVIRONMENT" ${ARGN})
  add_executable(${executable} ${ARG_SOURCES})
  target_link_libraries(${executable} PRIVATE fleet_harness PkgConfig::CRITERION)
  add_dependencies(${executable} fleet-e2e)
  # Criterion finds its tests in a linker section that nothing refers to.
  target_link_options(${executable} PRIVATE -Wl,--no-gc-sections)
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(${executable} PRIVATE fleet_${used})
  endforeach()
  foreach(source IN LISTS ARG_SOURCES)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    file(STRINGS ${source} lines REGEX "^FLEET_TEST\\(")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^FLEET_TEST\\(([a-z0-9_]+), *([a-z0-9_]+).*" "\\1;\\2" parts "${line}")
      list(GET parts 0 suite)
      list(GET parts 1 name)
      set(test "${suite}.${name}")
      add_test(NAME ${test} COMMAND ${executable} --color=never --filter=${suite}/${name})
      set_tests_properties(${test} PROPERTIES
        LABELS "${ARG_LABEL}"
        SKIP_REGULAR_EXPRESSION "FLEET_SKIPPED: "
        FAIL_REGULAR_EXPRESSION "Tested: 0 ;Crashing: [1-9]"
        ENVIRONMENT "FLEET_E2E_REPORT=${CMAKE_BINARY_DIR}/report;FLEET_E2E_SESSION=${CMAKE_BINARY_DIR}/session.json;FLEET_E2E_PROGRAMS=${CMAKE_BINARY_DIR}/bin;${ARG_ENVIRONMENT}")
      if(ARG_TIMEOUT)
        set_tests_properties(${test} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
      else()
        set_tests_properties(${test} PROPERTIES TIMEOUT 60)
      endif()
      if(ARG_FIXTURES)
        set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED "${ARG_FIXTURES}")
      endif()
      if(ARG_SERIAL)
        set_tests_properties(${test} PROPERTIES RUN_SERIAL ON)
      endif()
    endforeach()
  endforeach()
endfunction()
