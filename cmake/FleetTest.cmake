# SPDX-License-Identifier: Apache-2.0

# How CTest is to read what a test's executable writes (tests/fault/test_ctest.c holds it to that):
# - a skip is "Skipped": in CTest the skip expression wins over the failure expressions, so it names the test;
# - a filter that matches no test must not pass: Criterion calls "Tested: 0" a success;
# - a sanitizer's report fails the test whoever wrote it, be it a child of the test.
set(FLEET_FAIL_EXPRESSION "Tested: 0 [|];Crashing: [1-9];ERROR: [A-Za-z]+Sanitizer;: runtime error: ")
function(fleet_skip_expression suite name result)
  set(${result} "FLEET_SKIPPED: ${suite}[.]${name}: " PARENT_SCOPE)
endfunction()

# fleet_test(<executable> SOURCES … [USES rooms…] LABEL unit|check|host|pod|vm|fault [FIXTURES name…] [TIMEOUT s]
#            [ENVIRONMENT NAME=value…] [PROCESSORS n] [LOCK name] [SERIAL])
# LOCK: no two tests with the same one run at a time. Every FLEET_TEST(suite, name, …) line of the sources becomes the CTest test "suite.name".
function(fleet_test executable)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT;PROCESSORS;LOCK" "SOURCES;USES;FIXTURES;ENVIRONMENT" ${ARGN})
  add_executable(${executable} ${ARG_SOURCES})
  fleet_link_test(${executable} ${ARG_USES})
  foreach(source IN LISTS ARG_SOURCES)
    get_filename_component(path ${source} ABSOLUTE) # without "..": the same file has one name
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    fleet_find_tests(${source} tests)
    foreach(test IN LISTS tests)
      string(REPLACE "." ";" parts ${test})
      list(GET parts 0 suite)
      list(GET parts 1 name)
      add_test(NAME ${test} COMMAND ${executable} --color=never --filter=${suite}/${name})
      fleet_skip_expression(${suite} ${name} skip_expression)
      set_tests_properties(${test} PROPERTIES
        SKIP_REGULAR_EXPRESSION "${skip_expression}"
        FAIL_REGULAR_EXPRESSION "${FLEET_FAIL_EXPRESSION}"
        LABELS "${ARG_LABEL}"
        TIMEOUT 60
        ENVIRONMENT "FLEET_E2E_REPORT=${CMAKE_BINARY_DIR}/report;FLEET_E2E_SESSION=${CMAKE_BINARY_DIR}/session.json;FLEET_E2E_PROGRAMS=${CMAKE_BINARY_DIR}/bin;${ARG_ENVIRONMENT}")
      if(ARG_TIMEOUT)
        set_tests_properties(${test} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
      endif()
      if(ARG_PROCESSORS)
        set_tests_properties(${test} PROPERTIES PROCESSORS ${ARG_PROCESSORS})
        if(ARG_PROCESSORS GREATER 1)
          set_tests_properties(${test} PROPERTIES COST 100) # begins early: later it finds room only when all others are over
        endif()
      endif()
      if(ARG_FIXTURES)
        set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED "${ARG_FIXTURES}")
      endif()
      if(ARG_LOCK)
        set_tests_properties(${test} PROPERTIES RESOURCE_LOCK ${ARG_LOCK})
      endif()
      if(ARG_SERIAL)
        set_tests_properties(${test} PROPERTIES RUN_SERIAL ON)
      endif()
    endforeach()
  endforeach()
endfunction()

# What an executable of FLEET_TESTs is linked with: fleet_link_test(<executable> [rooms…])
function(fleet_link_test executable)
  target_link_libraries(${executable} PRIVATE fleet_harness PkgConfig::CRITERION)
  add_dependencies(${executable} fleet-e2e) # the reaper
  # Criterion finds its tests in a linker section that nothing refers to.
  target_link_options(${executable} PRIVATE -Wl,--no-gc-sections)
  foreach(used IN LISTS ARGN)
    target_link_libraries(${executable} PRIVATE fleet_${used})
  endforeach()
endfunction()

# The FLEET_TESTs of a source as "suite.name" (tests/check finds those that would be overlooked).
function(fleet_find_tests source result)
  set(tests "")
  file(STRINGS ${source} lines REGEX "^FLEET_TEST\\(")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^FLEET_TEST\\(([a-z0-9_]+), *([a-z0-9_]+).*" "\\1.\\2" test "${line}")
    list(APPEND tests "${test}")
  endforeach()
  set(${result} ${tests} PARENT_SCOPE)
endfunction()
