// The atomics and the mutex of the breaker, under names of their own. A build of the tests puts other types in their
// place and runs through every order in which threads may come to them (tests/proof/explore).
#pragma once

#ifdef FUSEBOX_EXPLORE  // a header with these types, and with the functions of stripe_number.hpp
#include FUSEBOX_EXPLORE
#else

#include <atomic>
#include <mutex>

namespace fusebox::detail {

template <class T>
using Atomic = std::atomic<T>;
using Mutex = std::mutex;
/// A counter that threads only add to, without using the result, and read. So two additions may change places, and the
/// exploration need not try both orders.
template <class T>
using Sum = std::atomic<T>;

}  // namespace fusebox::detail

#endif
