// CMake compiles the precompiled header with the first source that uses it; this one is always there.
#include "support/precompiled.hpp"
