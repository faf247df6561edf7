# find_package(fusebox COMPONENTS core registry …): one file of targets per component, each with its own dependencies.
# Beside it the licence and the pages, in share/doc/fusebox as in this tree: what a header calls docs/policies.md is
# there, and the pages' links among each other lead somewhere.
include(CMakePackageConfigHelpers)

set(destination ${CMAKE_INSTALL_LIBDIR}/cmake/fusebox)
get_property(components GLOBAL PROPERTY FUSEBOX_COMPONENTS)
set(FUSEBOX_COMPONENT_TABLE "")
foreach(component IN LISTS components)
    get_property(modules GLOBAL PROPERTY FUSEBOX_${component}_MODULES)
    get_property(dependencies GLOBAL PROPERTY FUSEBOX_${component}_DEPENDENCIES)
    string(APPEND FUSEBOX_COMPONENT_TABLE
        "set(_fusebox_${component}_modules \"${modules}\")\n"
        "set(_fusebox_${component}_dependencies \"${dependencies}\")\n")
    install(EXPORT fusebox-${component}-targets NAMESPACE fusebox:: DESTINATION ${destination} COMPONENT fusebox)
endforeach()
set(FUSEBOX_COMPONENT_NAMES "${components}")

configure_package_config_file(cmake/fusebox-config.cmake.in "${PROJECT_BINARY_DIR}/fusebox-config.cmake"
    INSTALL_DESTINATION ${destination} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fusebox-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/fusebox-config.cmake"
    "${PROJECT_BINARY_DIR}/fusebox-config-version.cmake"
    cmake/FuseboxFind.cmake
    DESTINATION ${destination} COMPONENT fusebox)

set(destination ${CMAKE_INSTALL_DATAROOTDIR}/doc/fusebox)
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md DESTINATION ${destination} COMPONENT fusebox)
install(DIRECTORY docs examples DESTINATION ${destination} COMPONENT fusebox)
file(GLOB pages RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/*/README.md" "${PROJECT_SOURCE_DIR}/core/*/README.md"
    "${PROJECT_SOURCE_DIR}/registry/src/*/README.md")
foreach(page IN LISTS pages)
    cmake_path(GET page PARENT_PATH folder)
    install(FILES ${page} DESTINATION ${destination}/${folder} COMPONENT fusebox)
endforeach()
