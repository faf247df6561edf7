// Runs logical threads one at a time, on fibers, and lets somebody choose at each step whose turn it is.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace fusebox::test::explore {

inline constexpr unsigned most_threads = 4;

/// What a step does to what threads share.
enum class Kind : std::uint8_t {
    none,       ///< the thread has ended
    read,       ///< a load
    add,        ///< an addition whose result nobody uses: two of them may change places
    write,      ///< a store, or an exchange, a compare-and-swap (also one that fails), an addition whose result is used
    lock,       ///< can only be taken while the mutex is free
    unlock,     ///< of a mutex
    operation,  ///< the begin of an operation, see Search::Granularity
};

/// One step: of what kind, on which atomic or mutex. Numbers name the same object in every execution.
struct Step {
    Kind kind{Kind::none};
    std::uint32_t location{};
    bool operator==(const Step&) const = default;
};

/// Whether the order of both makes a difference.
[[nodiscard]] constexpr bool are_dependent(const Step& one, const Step& other) noexcept {
    if (one.kind == Kind::operation || other.kind == Kind::operation) return true;
    if (one.location != other.location) return false;
    return one.kind != other.kind || (one.kind != Kind::read && one.kind != Kind::add);
}

/// Where all logical threads stand, each before its next step.
struct Standing {
    unsigned threads{};
    unsigned current{};  ///< took the last step
    std::array<Step, most_threads> next{};
    std::array<std::source_location, most_threads> where{};
    unsigned enabled{};  ///< bit per thread; without those that have ended or wait for a mutex
};

enum class Ending : std::uint8_t { all_ended, deadlock, too_long };

/// One operating-system thread, one execution at a time: what is below is not thread-safe, and need not be.
///
/// Between two steps a thread runs undisturbed. A step waits for its turn first and acts then, so that whoever chooses
/// knows what each thread is about to do.
class Scheduler {
public:
    using Choose = std::function<unsigned(const Standing&)>;
    static constexpr unsigned longest_execution = 20'000;

    Scheduler();
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// Runs the bodies to their end. `choose` is asked at each step and gives an enabled thread. After a deadlock, or
    /// an execution that is too long, what the threads hold is leaked.
    Ending run(const std::vector<std::function<void()>>& bodies, const Choose& choose);
    /// At the end of the last run: what the threads that did not come to their end wait for.
    [[nodiscard]] const Standing& standing() const noexcept { return standing_; }
    /// Only the begins of operations are steps.
    void set_coarse(bool coarse) noexcept { coarse_ = coarse; }

private:
    friend void step(Kind kind, std::uint32_t location, const std::source_location& where, const bool* held) noexcept;
    friend unsigned current_thread() noexcept;
    struct Fiber;

    void take_turn(const Step& step, const std::source_location& where, const bool* held) noexcept;
    void body_of(unsigned thread) noexcept;
    void pass_on(unsigned from) noexcept;
    void switch_to(Fiber& from, Fiber& to) noexcept;
    static void enter() noexcept;

    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::unique_ptr<Fiber> main_;
    const std::vector<std::function<void()>>* bodies_{};
    const Choose* choose_{};
    Standing standing_;
    std::array<const bool*, most_threads> held_{};  // of the mutex that each one waits for
    unsigned steps_{};
    unsigned alive_{};  // bit per thread
    bool starting_{};
    bool coarse_{};
    Ending ending_{};
};

/// Called by what is explored, before it acts. Outside of an execution, and on its main thread, nothing happens.
/// `held`: whether the mutex of a `lock` is held.
void step(Kind kind, std::uint32_t location, const std::source_location& where, const bool* held = nullptr) noexcept;
/// The begin of an operation, for those who look for the executions in which operations do not overlap.
inline void begin_operation(const std::source_location& where = std::source_location::current()) noexcept {
    step(Kind::operation, 0, where);
}
/// A number for a new atomic or mutex: the same in each execution, as far as its thread has done the same so far.
[[nodiscard]] std::uint32_t new_location() noexcept;
/// Forgets the numbers given so far. To be called before an execution builds what it shares.
void reset_locations() noexcept;
/// 0 outside of an execution and on the first logical thread.
[[nodiscard]] unsigned current_thread() noexcept;

}  // namespace fusebox::test::explore
