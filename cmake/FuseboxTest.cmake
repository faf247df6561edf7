# Tests. Every test is one ctest entry, labelled with its module and with what it needs:
# `unit` (an executable that needs nothing outside), `script` (likewise in another language), or the suffix of its name:
# `e2e`, `postgres`, `redis`, `smtp`, `browser`. The sanitizers run what is labelled `unit`.

set(FUSEBOX_TEST_SUPPORT_DIR "${CMAKE_CURRENT_SOURCE_DIR}/tests/support")

add_custom_target(unit_tests COMMENT "Everything that the unit tests run")

set(FUSEBOX_TIMEOUT_FACTOR 1)
if(FUSEBOX_SANITIZE)
    set(FUSEBOX_TIMEOUT_FACTOR 4)
endif()

# The system's Python is the one that the system's packages (python3-yaml, …) belong to; another may come first in PATH.
find_program(FUSEBOX_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(FUSEBOX_PYTHON python3 REQUIRED)
mark_as_advanced(FUSEBOX_PYTHON)

# Sets `kind` and `module` in the caller from the test's name and the folder that declares it.
macro(_fusebox_classify name default)
    set(kind ${default})
    if("${name}" MATCHES "_(e2e|postgres|redis|smtp|browser)_test$")
        set(kind ${CMAKE_MATCH_1})
    elseif(NOT "${name}" MATCHES "_test$")
        message(FATAL_ERROR "the name of the test '${name}' must end in _test")
    endif()
    file(RELATIVE_PATH module "${PROJECT_SOURCE_DIR}/tests" "${CMAKE_CURRENT_SOURCE_DIR}")
    string(REGEX REPLACE "^(unit|proof|whole)/" "" module "${module}")
endmacro()

function(_fusebox_test_properties name kind module timeout serial)
    if(NOT timeout)
        set(timeout 120)
        if(NOT kind MATCHES "^(unit|script)$")
            set(timeout 300)
        endif()
    endif()
    math(EXPR timeout "${timeout} * ${FUSEBOX_TIMEOUT_FACTOR}")
    set(environment
        "FUSEBOX_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
        "FUSEBOX_BUILD_DIR=${PROJECT_BINARY_DIR}"
        "FUSEBOX_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
        "NODE_PATH=${PROJECT_SOURCE_DIR}/tests/node_modules"
        "PYTHONPATH=${FUSEBOX_TEST_SUPPORT_DIR}"
        "PYTHONDONTWRITEBYTECODE=1"
        "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1"
        "UBSAN_OPTIONS=print_stacktrace=1"
        "LSAN_OPTIONS=suppressions=${FUSEBOX_TEST_SUPPORT_DIR}/lsan.supp"
        "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${FUSEBOX_TEST_SUPPORT_DIR}/tsan.supp")
    set_tests_properties(${name} PROPERTIES
        TIMEOUT ${timeout}
        LABELS "${module};${kind}"
        RUN_SERIAL ${serial}
        ENVIRONMENT "${environment}")
endfunction()

# fusebox_test(NAME SOURCES file… [LINKS target…] [INTERNALS_OF folder…] [PROGRAMS program…] [TIMEOUT seconds] [SERIAL])
#
# A Catch2 executable in build/PRESET/bin. Sources include "support/catch.hpp"; main and the precompiled header are
# shared.
#   LINKS         fusebox::MODULE, fusebox_dep::LIBRARY
#   INTERNALS_OF  folders of modules whose src/ (private headers) this test may include
#   PROGRAMS      programs that must be built before this test, found in $FUSEBOX_BIN_DIR
#   TIMEOUT       of the whole executable; 120, or 300 where the suffix names a peer
#   SERIAL        runs alone, for what measures time
function(fusebox_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "SOURCES;LINKS;INTERNALS_OF;PROGRAMS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "fusebox_test(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    _fusebox_classify(${name} unit)
    _fusebox_require_dependencies("${name}" ${arg_LINKS})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE fusebox_build_flags fusebox_test_support ${arg_LINKS})
    target_precompile_headers(${name} REUSE_FROM fusebox_test_support)
    set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
    foreach(internal IN LISTS arg_INTERNALS_OF)
        target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/${internal}/src")
    endforeach()
    foreach(program IN LISTS arg_PROGRAMS)
        add_dependencies(${name} ${program})
    endforeach()
    if(kind STREQUAL "unit")
        add_dependencies(unit_tests ${name})
    endif()
    add_test(NAME ${name} COMMAND ${name})
    _fusebox_test_properties(${name} ${kind} "${module}" "${arg_TIMEOUT}" ${arg_SERIAL})
endfunction()

# fusebox_script_test(NAME COMMAND program argument… [TIMEOUT seconds] [SERIAL])
#
# A test in another language, usually `COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/NAME_e2e_test.py`. In its
# environment: FUSEBOX_BIN_DIR, FUSEBOX_SOURCE_DIR, FUSEBOX_BUILD_DIR; tests/support is on PYTHONPATH,
# tests/node_modules on NODE_PATH. `python3` is the system's.
function(fusebox_script_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "COMMAND")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "fusebox_script_test(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    _fusebox_classify(${name} script)
    list(TRANSFORM arg_COMMAND REPLACE "^python3$" "${FUSEBOX_PYTHON}" AT 0)
    add_test(NAME ${name} COMMAND ${arg_COMMAND})
    _fusebox_test_properties(${name} ${kind} "${module}" "${arg_TIMEOUT}" ${arg_SERIAL})
endfunction()
