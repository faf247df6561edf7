// What threads meet on in a breaker. In one place, so that a build of the tests can put its own in their place and run
// through every order in which threads may come to them (tests/proof/explore).
#pragma once

#ifdef FUSEBOX_EXPLORE  // names the header that has them all, and those of stripe_number.hpp
#include FUSEBOX_EXPLORE
#else

#include <atomic>
#include <mutex>

namespace fusebox::detail {

template <class T>
using Atomic = std::atomic<T>;
using Mutex = std::mutex;
/// Only added to, by those who do not use the result, and read: additions may change places.
template <class T>
using Sum = std::atomic<T>;

}  // namespace fusebox::detail

#endif
