# SPDX-License-Identifier: Apache-2.0
# Flags every target shares, and fleet_library(): one static library per room.

add_compile_options(
  -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla -Wpointer-arith -Wwrite-strings -fno-common -fno-strict-aliasing
  -ffunction-sections -fdata-sections "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
add_compile_options($<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(FLEET_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE FLEET_VERSION="${PROJECT_VERSION}")
add_link_options(-Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro -Wl,-z,now)
if(FLEET_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(FLEET_SANITIZED=1)
else()
  add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2> $<$<CONFIG:Release>:-fstack-protector-strong>)
endif()

# fleet_library(<room> SOURCES … [USES rooms…] [LIBRARIES imported targets…])
function(fleet_library room)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(fleet_${room} STATIC ${ARG_SOURCES})
  target_include_directories(fleet_${room} PUBLIC ${CMAKE_SOURCE_DIR})
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(fleet_${room} PUBLIC fleet_${used})
  endforeach()
  target_link_libraries(fleet_${room} PUBLIC ${ARG_LIBRARIES})
endfunction()
