// What stands in for core/breaker/include/fusebox/core/detail/sync.hpp where the breaker is explored: each use is a
// step.
//
// Sequentially consistent only: orders that a weaker memory_order allows are not explored (see docs/proof.md). A weak
// compare-and-swap never fails without cause.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>

#include "proof/explore/scheduler.hpp"

namespace fusebox::detail {

using Where = std::source_location;

template <class T>
class Atomic {
public:
    Atomic() noexcept : Atomic(T{}) {}
    Atomic(T value) noexcept : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order = {}, Where where = Where::current()) const noexcept {
        test::explore::step(test::explore::Kind::read, location_, where);
        return value_;
    }
    void store(T value, std::memory_order = {}, Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::write, location_, where);
        value_ = value;
    }
    T exchange(T value, std::memory_order = {}, Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::write, location_, where);
        const auto old = value_;
        value_ = value;
        return old;
    }
    T fetch_add(T by, std::memory_order = {}, Where where = Where::current()) noexcept {
        return exchange_with([by](T old) { return static_cast<T>(old + by); }, where);
    }
    T fetch_sub(T by, std::memory_order = {}, Where where = Where::current()) noexcept {
        return exchange_with([by](T old) { return static_cast<T>(old - by); }, where);
    }
    T fetch_or(T bits, std::memory_order = {}, Where where = Where::current()) noexcept {
        return exchange_with([bits](T old) { return static_cast<T>(old | bits); }, where);
    }
    T fetch_and(T bits, std::memory_order = {}, Where where = Where::current()) noexcept {
        return exchange_with([bits](T old) { return static_cast<T>(old & bits); }, where);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order = {}, std::memory_order = {},
                                 Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::write, location_, where);
        if (value_ != expected) {
            expected = value_;
            return false;
        }
        value_ = desired;
        return true;
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order = {}, std::memory_order = {},
                               Where where = Where::current()) noexcept {
        return compare_exchange_strong(expected, desired, {}, {}, where);
    }

private:
    template <class Change>
    T exchange_with(const Change& change, const Where& where) noexcept {
        test::explore::step(test::explore::Kind::write, location_, where);
        const auto old = value_;
        value_ = change(old);
        return old;
    }

    T value_;
    std::uint32_t location_{test::explore::new_location()};
};

/// Gives no result of an addition, so that nobody can depend on the order of two of them.
template <class T>
class Sum {
public:
    Sum() noexcept = default;
    Sum(const Sum&) = delete;
    Sum& operator=(const Sum&) = delete;

    T load(std::memory_order = {}, Where where = Where::current()) const noexcept {
        test::explore::step(test::explore::Kind::read, location_, where);
        return value_;
    }
    void fetch_add(T by, std::memory_order = {}, Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::add, location_, where);
        value_ += by;
    }

private:
    T value_{};
    std::uint32_t location_{test::explore::new_location()};
};

class Mutex {
public:
    Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock(Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::lock, location_, where, &held_);
        held_ = true;
    }
    void unlock(Where where = Where::current()) noexcept {
        test::explore::step(test::explore::Kind::unlock, location_, where);
        held_ = false;
    }

private:
    bool held_{};
    std::uint32_t location_{test::explore::new_location()};
};

/// Each logical thread its own number, as long as it lives.
[[nodiscard]] inline unsigned stripe_number() noexcept { return test::explore::current_thread(); }
/// How many cores the machine is to have; set by each scenario.
inline unsigned cores = 1;
[[nodiscard]] inline unsigned core_count() noexcept { return cores; }

}  // namespace fusebox::detail
