# Configures, builds and runs the consumer in WORK, with steady obtained by WAY.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(arguments -DWAY=${WAY} -DCMAKE_BUILD_TYPE=${CONFIG} -DCMAKE_C_COMPILER=${C_COMPILER}
    -DCMAKE_CXX_COMPILER=${CXX_COMPILER} "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")

if(WAY STREQUAL "add_subdirectory")
  # With flags that only some links can bear: `all` must not hold what nobody asked for.
  list(APPEND arguments -DSTEADY_SOURCE=${STEADY_SOURCE} -DCMAKE_CXX_FLAGS=--coverage)
elseif(WAY STREQUAL "fetch_content")
  # What a release archive would hold: the tree without its build folders.
  file(GLOB parts RELATIVE ${STEADY_SOURCE} ${STEADY_SOURCE}/*)
  list(FILTER parts EXCLUDE REGEX "^(build|out)$")
  execute_process(COMMAND ${CMAKE_COMMAND} -E tar czf ${WORK}/steady.tar.gz ${parts}
                  WORKING_DIRECTORY ${STEADY_SOURCE} COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND arguments -DSTEADY_ARCHIVE=${WORK}/steady.tar.gz)
else()
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${STEADY_BUILD} --prefix ${WORK}/installed
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND arguments -DCMAKE_PREFIX_PATH=${WORK}/installed -DSTEADY_VERSION=${VERSION})
endif()

execute_process(COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build ${arguments}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/build/consumer OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL "steady ${VERSION}: 1000 words kept\n")
  message(FATAL_ERROR "the consumer printed '${printed}'")
endif()
