# What a builder can choose, and the flags that follow from it.

option(FUSEBOX_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(FUSEBOX_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(FUSEBOX_BUILD_BENCH "Build the benchmarks" OFF)
option(FUSEBOX_WERROR "Warnings are errors (the presets dev, asan and tsan turn this on)" OFF)
set(FUSEBOX_SANITIZE "" CACHE STRING "Comma-separated list for -fsanitize=, for example address,undefined")

if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
    if(BUILD_SHARED_LIBS AND NOT DEFINED CMAKE_INSTALL_RPATH)
        # An installed program finds its libraries, and they each other, wherever all of it was put.
        set(CMAKE_INSTALL_RPATH "$ORIGIN" "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    endif()

    # The sloppiness lets the cache hit although the tests use a precompiled header.
    find_program(FUSEBOX_CCACHE ccache)
    mark_as_advanced(FUSEBOX_CCACHE)
    if(FUSEBOX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
            CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
            CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${FUSEBOX_CCACHE})
    endif()
endif()

# Private build flags of everything compiled here. Never installed.
add_library(fusebox_build_flags INTERFACE)
target_compile_features(fusebox_build_flags INTERFACE cxx_std_23)
target_compile_definitions(fusebox_build_flags INTERFACE $<$<CONFIG:RelWithDebInfo>:_GLIBCXX_ASSERTIONS>)
# Clang blames std::stable_sort's caller for what libstdc++ 12 does inside; GCC tells of real uses of deprecated things.
target_compile_options(fusebox_build_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi -Wcast-qual
    -Wimplicit-fallthrough -Wvla -Wformat=2
    $<$<CXX_COMPILER_ID:GNU>:-Wsuggest-override -Wduplicated-cond -Wlogical-op -Wno-restrict>
    $<$<CXX_COMPILER_ID:Clang>:-Wsuggest-override -Wno-gnu-zero-variadic-macro-arguments -Wno-deprecated-declarations>
    $<$<BOOL:${FUSEBOX_WERROR}>:-Werror>)

# Narrowing is judged in the product, not in its tests.
add_library(fusebox_strict_flags INTERFACE)
target_link_libraries(fusebox_strict_flags INTERFACE fusebox_build_flags)
target_compile_options(fusebox_strict_flags INTERFACE -Wconversion -Wno-sign-conversion)

if(FUSEBOX_SANITIZE)
    # For the whole tree, so that no target can be forgotten.
    add_compile_options(-fsanitize=${FUSEBOX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${FUSEBOX_SANITIZE})
endif()
