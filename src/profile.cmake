# The profiler: a static library over steady_runtime, and libsteady_profile.so, which is
# preloaded beside libsteady_malloc.so.
#
# Headers of three libraries from Debian; without them the rest of steady still builds.
# zlib is linked. protozero is headers only. libdw is loaded when a profile asks for names.
find_package(ZLIB QUIET)
find_path(PROTOZERO_INCLUDE_DIR protozero/pbf_writer.hpp)
find_path(LIBDW_INCLUDE_DIR elfutils/libdwfl.h)
mark_as_advanced(PROTOZERO_INCLUDE_DIR LIBDW_INCLUDE_DIR)
if(NOT ZLIB_FOUND OR NOT PROTOZERO_INCLUDE_DIR OR NOT LIBDW_INCLUDE_DIR)
  message(STATUS "steady: the profiler is left out; it needs zlib, protozero and libdw's headers (script/bootstrap installs them)")
  return()
endif()

file(GLOB profile_sources CONFIGURE_DEPENDS profile/*.cpp)
list(FILTER profile_sources EXCLUDE REGEX "/preload\\.cpp$")
# The debug server and the reports; pages.cmake says what to embed.
include(profile/server/pages.cmake)
file(GLOB server_sources CONFIGURE_DEPENDS profile/server/*.cpp)
list(APPEND profile_sources ${server_sources})

# initial-exec: listeners run inside malloc, where __tls_get_addr must not be called: it
# may allocate. -fasynchronous-unwind-tables: a signal may come at any instruction.
set(profile_flags -ftls-model=initial-exec -fasynchronous-unwind-tables -fvisibility=hidden
                  -fvisibility-inlines-hidden)

add_library(steady_profile STATIC ${profile_sources} $<TARGET_OBJECTS:steady_debug_pages>)
# Programs that link the library obey STEADY_DEBUG, also those that never name the server.
target_link_options(steady_profile INTERFACE LINKER:-u,steady_profile_from_environment)
target_include_directories(steady_profile SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR} ${LIBDW_INCLUDE_DIR})
target_link_libraries(steady_profile PUBLIC steady_runtime PRIVATE ZLIB::ZLIB ${CMAKE_DL_LIBS})
target_compile_options(steady_profile PRIVATE ${profile_flags})
set_target_properties(steady_profile PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF
                                                EXPORT_NAME profile)
add_library(steady::profile ALIAS steady_profile)

# ---- The library to preload. Like the drop-in heap it carries no sanitizer.
find_library(ZLIB_STATIC NAMES libz.a)
mark_as_advanced(ZLIB_STATIC)
if(NOT ZLIB_STATIC)
  message(STATUS "steady: libsteady_profile.so is left out; it needs libz.a (zlib1g-dev)")
  return()
endif()
file(GLOB below_profile_sources CONFIGURE_DEPENDS core/*.cpp os/*.cpp)
set(preload_definitions STEADY_PROFILE_LIBRARY=1
    $<TARGET_PROPERTY:steady_core,INTERFACE_COMPILE_DEFINITIONS>)
add_library(steady_profile_below OBJECT ${below_profile_sources})
target_compile_options(steady_profile_below PRIVATE ${runtime_flags} -O2 -ftls-model=initial-exec)
add_library(steady_profile_objects OBJECT ${profile_sources} profile/preload.cpp)
add_dependencies(steady_profile_objects steady_debug_pages)
target_include_directories(steady_profile_objects SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR}
                           ${LIBDW_INCLUDE_DIR} ${ZLIB_INCLUDE_DIRS})
target_compile_options(steady_profile_objects PRIVATE ${profile_flags} -O2)
foreach(objects steady_profile_below steady_profile_objects)
  target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_compile_features(${objects} PRIVATE cxx_std_20)
  target_compile_definitions(${objects} PRIVATE ${preload_definitions})
  set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
endforeach()

add_library(steady_profile_preload SHARED $<TARGET_OBJECTS:steady_profile_below>
                                          $<TARGET_OBJECTS:steady_debug_pages>
                                          $<TARGET_OBJECTS:steady_profile_objects>)
set_target_properties(steady_profile_preload PROPERTIES OUTPUT_NAME steady_profile LINKER_LANGUAGE CXX
  LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/profile/exports.map)
target_link_libraries(steady_profile_preload PRIVATE ${ZLIB_STATIC} ${CMAKE_DL_LIBS})
target_link_options(steady_profile_preload PRIVATE -static-libstdc++ -static-libgcc -Wl,-z,defs
  -Wl,-z,now -Wl,-z,nodelete -Wl,--exclude-libs,ALL
  -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/profile/exports.map)
if(NOT PROJECT_IS_TOP_LEVEL AND NOT STEADY_INSTALL)
  set_target_properties(steady_profile_preload steady_profile_objects steady_profile_below
                        PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
