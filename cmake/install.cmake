# `cmake --install`: headers, libraries, the command, and find_package(steady).
include(CMakePackageConfigHelpers)

install(TARGETS steady_core steady_containers steady_runtime steady_audit steady_steady steady_malloc
        EXPORT steadyTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET steady_profile)
  install(TARGETS steady_profile EXPORT steadyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET steady_profile_preload)
  install(TARGETS steady_profile_preload LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
if(TARGET steady_cli)
  install(TARGETS steady_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/steady)
install(EXPORT steadyTargets NAMESPACE steady:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/steadyConfig.cmake.in
  ${PROJECT_BINARY_DIR}/steadyConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change what users see.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/steadyConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/steadyConfig.cmake ${PROJECT_BINARY_DIR}/steadyConfigVersion.cmake
        DESTINATION ${package_dir})
