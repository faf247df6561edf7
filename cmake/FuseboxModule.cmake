# Targets of the product: modules (libraries) and programs.

# Finds every fusebox_dep::X among `ARGN`, or stops with the name of the missing package.
function(_fusebox_require_dependencies who)
    foreach(link IN LISTS ARGN)
        if(link MATCHES "^fusebox_dep::(.+)$")
            set(dependency ${CMAKE_MATCH_1})
            fusebox_find(${dependency} found)
            if(NOT found)
                message(FATAL_ERROR "${who} needs '${dependency}' (Debian package: ${FUSEBOX_DEB_${dependency}})")
            endif()
        elseif(link MATCHES "^fusebox::(.+)$" AND NOT TARGET ${link})
            message(FATAL_ERROR
                "${who} links ${link}, which this build does not have (FUSEBOX_ONLY_MODULES, FUSEBOX_WITH_…)")
        endif()
    endforeach()
endfunction()

# fusebox_module(NAME [SOURCES file…] [LINKS target…] [PRIVATE_LINKS target…] [HEADERS file…])
#
# A library `fusebox_NAME`, used as `fusebox::NAME` here and after installation (component NAME).
#   SOURCES        files that are compiled; none: a header-only library
#   LINKS          what its public headers include: fusebox::MODULE, fusebox_dep::LIBRARY
#   PRIVATE_LINKS  what only its sources include
#   HEADERS        public headers; by default everything below include/
# include/ is public, src/ is private. Inside this build, whoever does not link the target does not see its headers;
# installed, the headers of all targets stand in one folder.
# With BUILD_SHARED_LIBS a shared library. Much of it is inline in headers, so a program runs with the minor version
# that it was built with only; the name of the file has it.
function(fusebox_module name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;LINKS;PRIVATE_LINKS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "fusebox_module(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    _fusebox_require_dependencies("fusebox::${name}" ${arg_LINKS} ${arg_PRIVATE_LINKS})
    if(NOT arg_HEADERS)
        file(GLOB_RECURSE arg_HEADERS CONFIGURE_DEPENDS include/*.hpp)
    endif()

    set(target fusebox_${name})
    if(arg_SOURCES)
        add_library(${target} ${arg_SOURCES})
        set(scope PUBLIC)
        target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:fusebox_strict_flags> ${arg_PRIVATE_LINKS})
        target_compile_definitions(${target} PRIVATE FUSEBOX_VERSION="${PROJECT_VERSION}")
        if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/src")
            target_include_directories(${target} PRIVATE src)
        endif()
        set_target_properties(${target} PROPERTIES
            VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
        if(BUILD_SHARED_LIBS)
            # No header says what is exported, so everything is, also inside a project that hides what is its own.
            set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
        endif()
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
        if(arg_PRIVATE_LINKS)
            message(FATAL_ERROR "fusebox_module(${name}): a header-only module has no private links")
        endif()
    endif()
    add_library(fusebox::${name} ALIAS ${target})
    target_compile_features(${target} ${scope} cxx_std_23)
    target_link_libraries(${target} ${scope} ${arg_LINKS})
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        POSITION_INDEPENDENT_CODE ON
        CXX_EXTENSIONS OFF
        VERIFY_INTERFACE_HEADER_SETS ON)

    install(TARGETS ${target} EXPORT fusebox-${name}-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT fusebox
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT fusebox
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT fusebox)

    # What find_package(fusebox COMPONENTS NAME) must bring along.
    set(modules "")
    set(dependencies "")
    foreach(link IN LISTS arg_LINKS arg_PRIVATE_LINKS)
        if(link MATCHES "^fusebox::(.+)$")
            list(APPEND modules ${CMAKE_MATCH_1})
        elseif(link MATCHES "^fusebox_dep::(.+)$")
            list(APPEND dependencies ${CMAKE_MATCH_1})
        endif()
    endforeach()
    set_property(GLOBAL APPEND PROPERTY FUSEBOX_COMPONENTS ${name})
    set_property(GLOBAL PROPERTY FUSEBOX_${name}_MODULES "${modules}")
    set_property(GLOBAL PROPERTY FUSEBOX_${name}_DEPENDENCIES "${dependencies}")
endfunction()

# fusebox_backend(NAME dependency…)
#
# The switch of a backend that brings dependencies: the option FUSEBOX_WITH_NAME, on when all of them are found.
#
#   fusebox_backend(SQLITE sqlite)
#   if(FUSEBOX_WITH_SQLITE)
#       fusebox_module(storage_sqlite SOURCES … LINKS fusebox::incidents PRIVATE_LINKS fusebox_dep::sqlite)
#   endif()
function(fusebox_backend name)
    set(all_found ON)
    foreach(dependency IN LISTS ARGN)
        fusebox_find(${dependency} found)
        if(NOT found)
            set(all_found OFF)
            message(STATUS "fusebox: no ${dependency} here (Debian package: ${FUSEBOX_DEB_${dependency}})")
        endif()
    endforeach()
    option(FUSEBOX_WITH_${name} "Build what needs: ${ARGN}" ${all_found})
endfunction()

# fusebox_program(NAME SOURCES file… [LINKS target…])
#
# A program in build/PRESET/bin and, installed, in bin. FUSEBOX_VERSION is defined as a string.
function(fusebox_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "fusebox_program(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    _fusebox_require_dependencies("${name}" ${arg_LINKS})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE fusebox_strict_flags ${arg_LINKS})
    target_compile_definitions(${name} PRIVATE FUSEBOX_VERSION="${PROJECT_VERSION}")
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/src")
        target_include_directories(${name} PRIVATE src)
    endif()
    set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
    set_property(GLOBAL APPEND PROPERTY FUSEBOX_PROGRAMS ${name})
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT fusebox)
endfunction()
