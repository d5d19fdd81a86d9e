# What the house promises about itself: headers stand alone, the drop-in heap
# needs libc only, documents tell the truth, and other projects can use steady.

# ---- Every header compiles alone, twice included.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include
     ${PROJECT_SOURCE_DIR}/include/steady/*.hpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(FILTER headers EXCLUDE REGEX "core/group/neon\\.hpp$")
else()
  list(FILTER headers EXCLUDE REGEX "core/group/sse2\\.hpp$")
endif()
foreach(header IN LISTS headers)
  add_test(NAME header_alone.${header}
    COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -Wall -Wextra -Werror -fsyntax-only
            -I ${PROJECT_SOURCE_DIR}/include -include ${header} -include ${header} -x c++ /dev/null)
  set_tests_properties(header_alone.${header} PROPERTIES LABELS "house;headers")
endforeach()

# ---- Includes go down the stairs only.
add_test(NAME includes_go_down_the_stairs_only
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -P ${CMAKE_CURRENT_SOURCE_DIR}/house/stairs.cmake)
set_tests_properties(includes_go_down_the_stairs_only PROPERTIES LABELS house)

# ---- Pages link to pages that exist.
add_test(NAME links_between_pages_lead_somewhere
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -P ${CMAKE_CURRENT_SOURCE_DIR}/house/links.cmake)
set_tests_properties(links_between_pages_lead_somewhere PROPERTIES LABELS house)

# ---- The guide names every option of STEADY_DEBUG.
add_test(NAME guide_names_every_debug_option
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -P ${CMAKE_CURRENT_SOURCE_DIR}/house/options_page.cmake)
set_tests_properties(guide_names_every_debug_option PROPERTIES LABELS house)

# ---- libsteady_malloc.so.
add_test(NAME malloc_library_needs_libc_only
  COMMAND ${CMAKE_COMMAND} -DREADELF=${CMAKE_READELF} -DLIBRARY=$<TARGET_FILE:steady_malloc>
          -P ${CMAKE_CURRENT_SOURCE_DIR}/house/needs_libc_only.cmake)
set_tests_properties(malloc_library_needs_libc_only PROPERTIES LABELS house)

# ---- One small program, three ways to use steady. Other compilers and sanitizers
# would only repeat what the plain build says.
if(NOT CMAKE_CROSSCOMPILING AND NOT STEADY_SANITIZE)
  foreach(way add_subdirectory fetch_content find_package)
    set(name consumer_uses_steady_by_${way})
    add_test(NAME ${name}
      COMMAND ${CMAKE_COMMAND} -DWAY=${way} -DSTEADY_SOURCE=${PROJECT_SOURCE_DIR}
              -DSTEADY_BUILD=${PROJECT_BINARY_DIR} -DWORK=${CMAKE_CURRENT_BINARY_DIR}/consumer/${way}
              -DGENERATOR=${CMAKE_GENERATOR} -DC_COMPILER=${CMAKE_C_COMPILER}
              -DCXX_COMPILER=${CMAKE_CXX_COMPILER} "-DLAUNCHER=$<$<BOOL:${CCACHE}>:${CCACHE}>"
              -DCONFIG=$<CONFIG> -DVERSION=${PROJECT_VERSION}
              -P ${CMAKE_CURRENT_SOURCE_DIR}/consumer/build_and_run.cmake)
    set_tests_properties(${name} PROPERTIES LABELS "house;consumer" TIMEOUT 600)
  endforeach()
endif()

# ---- README and guide: every C++ snippet compiles, runs and prints what it claims.
include(snippets)
file(GLOB_RECURSE pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/docs/*.md
     ${PROJECT_SOURCE_DIR}/include/*.md)
foreach(page IN LISTS pages)
  steady_add_snippets(${page})
endforeach()
