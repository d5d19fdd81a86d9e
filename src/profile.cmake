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

# initial-exec: listeners run inside malloc, where __tls_get_addr must not be called: it
# may allocate. -fasynchronous-unwind-tables: a signal may come at any instruction.
set(profile_flags -ftls-model=initial-exec -fasynchronous-unwind-tables -fvisibility=hidden
                  -fvisibility-inlines-hidden)

add_library(steady_profile STATIC ${profile_sources})
target_include_directories(steady_profile SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR} ${LIBDW_INCLUDE_DIR})
target_link_libraries(steady_profile PUBLIC steady_runtime PRIVATE ZLIB::ZLIB ${CMAKE_DL_LIBS})
target_compile_options(steady_profile PRIVATE ${profile_flags})
set_target_properties(steady_profile PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF
                                                EXPORT_NAME profile)
add_library(steady::profile ALIAS steady_profile)
