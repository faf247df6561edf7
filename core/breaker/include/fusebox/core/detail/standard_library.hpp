// Says in one sentence that the compiler or its standard library is too old, before they say it in hundreds.
#pragma once

#include <version>

#if !defined(__cpp_lib_expected) || !defined(__cpp_lib_move_only_function)
#error "fusebox needs C++23 with std::expected: GCC 12.2 or newer, or Clang 19 or newer, and -std=c++23"
#endif
