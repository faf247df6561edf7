#include "search.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <optional>

namespace fusebox::test::explore {
namespace {

using Threads = unsigned;  // a bit per thread
using Clock = std::array<std::uint32_t, most_threads>;

constexpr Threads bit(unsigned thread) { return 1U << thread; }

void join(Clock& clock, const Clock& other) {
    for (unsigned thread = 0; thread < most_threads; ++thread) clock[thread] = std::max(clock[thread], other[thread]);
}

// A state of the running execution, and the step that was taken from it.
struct Taken {
    unsigned thread{};
    std::array<Step, most_threads> next{};  // of all threads, in that state
    Threads enabled{};
    Threads sleep{};      // whoever begins with these has been explored
    Threads backtrack{};  // who has to be explored from here
    Clock clock{};        // of the step: how many steps of each thread come before it in every equivalent order
    [[nodiscard]] const Step& step() const { return next[thread]; }
};

// Who did what last to one atomic or mutex: indices of steps, -1 for none.
struct Accesses {
    std::array<int, most_threads> reads;
    std::array<int, most_threads> adds;
    int write;  // or lock
    int unlock;
};
constexpr Accesses none{.reads = {-1, -1, -1, -1}, .adds = {-1, -1, -1, -1}, .write = -1, .unlock = -1};

std::string first_failure;

const char* name_of(Kind kind) {
    switch (kind) {
        case Kind::none:
            return "end";
        case Kind::read:
            return "read";
        case Kind::add:
            return "add";
        case Kind::write:
            return "write";
        case Kind::lock:
            return "lock";
        case Kind::unlock:
            return "unlock";
        case Kind::operation:
            return "operation";
    }
    return "?";
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

void require(bool holds, std::string_view what, const std::source_location& where) {
    if (holds || !first_failure.empty()) return;
    first_failure =
        std::string{what} + " (" + std::string{base_name(where.file_name())} + ":" + std::to_string(where.line()) + ")";
}

class Search {
public:
    Search(const Setup& setup, const Options& options) : setup_(setup), options_(options) {
        scheduler_.set_coarse(options.granularity == Options::Granularity::operations);
    }

    Result run() {
        const auto begin = std::chrono::steady_clock::now();
        do {
            run_once();
            if (!first_failure.empty()) {
                result_.failure = std::exchange(first_failure, {}) + "\n" + describe();
                break;
            }
            analyse();
            if (result_.executions + result_.redundant >= options_.most_executions) {
                result_.failure =
                    "not explored to the end: more than " + std::to_string(options_.most_executions) + " executions";
                break;
            }
        } while (backtrack());
        result_.seconds = std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
        return result_;
    }

private:
    struct Past {
        unsigned thread;
        Step step;
        std::source_location where;
    };

    void run_once() {
        first_failure.clear();
        past_.clear();
        depth_ = 0;
        giving_up_ = false;
        reset_locations();
        Program program;
        setup_(program);
        threads_ = static_cast<unsigned>(program.threads_.size());
        const auto ending =
            scheduler_.run(program.threads_, [this](const Standing& standing) { return choose(standing); });
        switch (ending) {
            case Ending::all_ended:
                if (program.finally_) program.finally_();
                break;
            case Ending::deadlock:
                ++result_.deadlocks;
                require(options_.allow_deadlock, "deadlock");
                break;
            case Ending::too_long:
                require(false, "a thread does not end");
                break;
        }
        if (giving_up_) {
            ++result_.redundant;
            return;
        }
        ++result_.executions;
        result_.steps += past_.size();
    }

    unsigned choose(const Standing& standing) {
        const auto thread = choose_thread(standing);
        past_.push_back({thread, standing.next[thread], standing.where[thread]});
        return thread;
    }

    unsigned choose_thread(const Standing& standing) {
        const auto one_of = [&](Threads threads) {
            return (threads & bit(standing.current)) != 0 ? standing.current
                                                          : static_cast<unsigned>(std::countr_zero(threads));
        };
        if (giving_up_) return one_of(standing.enabled);
        if (depth_ < taken_.size()) {
            const auto& taken = taken_[depth_++];
            if (taken.next != standing.next) {
                require(false, "the program does not do the same each time");
                giving_up_ = true;
                return one_of(standing.enabled);
            }
            return taken.thread;
        }
        const auto sleep = taken_.empty() || brute_force_ ? 0 : still_asleep(taken_.back());
        const auto awake = standing.enabled & ~sleep;
        if (awake == 0) {
            giving_up_ = true;
            given_up_at_ = standing.next;
            return one_of(standing.enabled);
        }
        const auto thread = one_of(awake);
        taken_.push_back({.thread = thread,
                          .next = standing.next,
                          .enabled = standing.enabled,
                          .sleep = sleep,
                          .backtrack = brute_force_ ? standing.enabled : bit(thread)});
        ++depth_;
        return thread;
    }

    // After `taken`: those whose next step does not depend on it.
    static Threads still_asleep(const Taken& taken) {
        Threads asleep = 0;
        for (unsigned thread = 0; thread < most_threads; ++thread) {
            if ((taken.sleep & bit(thread)) != 0 && !are_dependent(taken.next[thread], taken.step())) {
                asleep |= bit(thread);
            }
        }
        return asleep;
    }

    [[nodiscard]] bool happens_before(int earlier, int later) const {
        const auto& one = taken_[static_cast<std::size_t>(earlier)];
        return one.clock[one.thread] <= taken_[static_cast<std::size_t>(later)].clock[one.thread];
    }

    // Gives each step its clock. For the new steps: finds the races, and asks for the order that would turn each one
    // round.
    void analyse() {
        for (auto& accesses : accesses_) accesses.clear();
        std::array<Clock, most_threads> clocks{};
        const auto count = static_cast<int>(taken_.size());
        for (int index = 0; index < count; ++index) {
            auto& taken = taken_[static_cast<std::size_t>(index)];
            auto& clock = clocks[taken.thread];
            const auto before = clock;
            auto& accesses = accesses_to(taken.step().location);
            const auto conflicts = conflicts_of(taken.step(), accesses);
            if (taken.step().kind == Kind::lock) {
                // It follows the unlock, but what could have come first instead is the other lock.
                if (accesses.unlock >= 0) join(clock, taken_[static_cast<std::size_t>(accesses.unlock)].clock);
            } else {
                for (const auto conflict : conflicts) join(clock, taken_[static_cast<std::size_t>(conflict)].clock);
            }
            ++clock[taken.thread];
            taken.clock = clock;
            if (index >= fresh_ && !brute_force_) {
                const auto seen = taken.step().kind == Kind::lock ? before : clock;
                for (const auto conflict : conflicts) {
                    if (is_race(conflict, conflicts, taken.thread, before))
                        turn_round(conflict, index, taken.thread, seen);
                }
            }
            note(taken, index, accesses);
        }
        if (!brute_force_) judge_waiting(clocks);
        if (options_.traces != nullptr && !giving_up_) options_.traces->insert(canonical());
    }

    // Who waits for a mutex at the end (in a deadlock, or beside threads that are asleep) might have had it first.
    void judge_waiting(const std::array<Clock, most_threads>& clocks) {
        const auto& next = giving_up_ ? given_up_at_ : scheduler_.standing().next;
        for (unsigned thread = 0; thread < threads_; ++thread) {
            if (next[thread].kind != Kind::lock) continue;
            const auto conflicts = conflicts_of(next[thread], accesses_to(next[thread].location));
            for (const auto conflict : conflicts) {
                if (is_race(conflict, conflicts, thread, clocks[thread]))
                    turn_round(conflict, static_cast<int>(taken_.size()), thread, clocks[thread]);
            }
        }
    }

    // The last steps that the order with `step` makes a difference to.
    std::vector<int>& conflicts_of(const Step& step, const Accesses& accesses) {
        conflicts_.clear();
        const auto add = [this](int index) {
            if (index >= 0) conflicts_.push_back(index);
        };
        add(accesses.write);
        if (step.kind != Kind::read) std::ranges::for_each(accesses.reads, add);
        if (step.kind != Kind::add) std::ranges::for_each(accesses.adds, add);
        return conflicts_;
    }

    [[nodiscard]] bool is_race(int conflict, const std::vector<int>& conflicts, unsigned thread,
                               const Clock& before) const {
        const auto& other = taken_[static_cast<std::size_t>(conflict)];
        if (other.thread == thread || other.clock[other.thread] <= before[other.thread]) return false;
        return std::ranges::none_of(
            conflicts, [&](int between) { return between > conflict && happens_before(conflict, between); });
    }

    // `later`, a step of `thread`, is to be explored before `earlier`, unless that has been asked for already.
    void turn_round(int earlier, int later, unsigned thread, const Clock& seen) {
        auto& state = taken_[static_cast<std::size_t>(earlier)];
        // Of what comes after `earlier` and not because of it: who could begin with it?
        Threads met = 0;
        Threads initials = 0;
        others_.clear();
        for (auto index = earlier + 1; index < later; ++index) {
            if (happens_before(earlier, index)) continue;
            const auto who = taken_[static_cast<std::size_t>(index)].thread;
            if ((met & bit(who)) == 0) {
                met |= bit(who);
                if (std::ranges::none_of(others_, [&](int other) { return happens_before(other, index); }))
                    initials |= bit(who);
            }
            others_.push_back(index);
        }
        if ((met & bit(thread)) == 0 && std::ranges::none_of(others_, [&](int other) {
                const auto& one = taken_[static_cast<std::size_t>(other)];
                return one.clock[one.thread] <= seen[one.thread];
            })) {
            initials |= bit(thread);
        }
        if ((initials & (state.backtrack | state.sleep)) != 0) return;
        state.backtrack |=
            (initials & bit(thread)) != 0 ? bit(thread) : bit(static_cast<unsigned>(std::countr_zero(initials)));
    }

    static void note(const Taken& taken, int index, Accesses& accesses) {
        switch (taken.step().kind) {
            case Kind::read:
                accesses.reads[taken.thread] = index;
                break;
            case Kind::add:
                accesses.adds[taken.thread] = index;
                break;
            case Kind::unlock:
                accesses.unlock = index;
                break;
            case Kind::write:
            case Kind::operation:
            case Kind::lock:
                accesses = none;
                accesses.write = index;
                break;
            case Kind::none:
                break;
        }
    }

    Accesses& accesses_to(std::uint32_t location) {
        auto& of_maker = accesses_[location >> 24U];
        const auto number = location & 0xFF'FFFFU;
        if (number >= of_maker.size()) of_maker.resize(number + 1, none);
        return of_maker[number];
    }

    // To the last state from which something is left to explore. False: there is none.
    bool backtrack() {
        while (!taken_.empty()) {
            auto& taken = taken_.back();
            taken.sleep |= bit(taken.thread);
            if (const auto left = taken.backtrack & ~taken.sleep; left != 0) {
                taken.thread = static_cast<unsigned>(std::countr_zero(left));
                fresh_ = static_cast<int>(taken_.size()) - 1;
                return true;
            }
            taken_.pop_back();
        }
        return false;
    }

    // The steps of each thread with their clocks: the same for all orders that are equivalent.
    [[nodiscard]] std::vector<std::uint32_t> canonical() const {
        std::vector<std::uint32_t> trace;
        for (unsigned thread = 0; thread < threads_; ++thread) {
            for (const auto& taken : taken_) {
                if (taken.thread != thread) continue;
                trace.insert(trace.end(),
                             {thread, static_cast<std::uint32_t>(taken.step().kind), taken.step().location});
                trace.insert(trace.end(), taken.clock.begin(), taken.clock.end());
            }
        }
        return trace;
    }

    [[nodiscard]] std::string describe() const {
        std::string text;
        for (const auto& [thread, step, where] : past_) {
            text += "    thread " + std::to_string(thread) + "  " + name_of(step.kind) + " #" +
                    std::to_string(step.location) + "  " + std::string{base_name(where.file_name())} + ":" +
                    std::to_string(where.line()) + "\n";
        }
        return text;
    }

    const Setup& setup_;
    const Options& options_;
    const bool coarse_ = options_.granularity == Options::Granularity::operations;
    const bool brute_force_ = options_.brute_force || coarse_;  // operations all depend on each other
    Scheduler scheduler_;
    Result result_;
    unsigned threads_{};
    std::vector<Taken> taken_;  // the running execution, as far as it is explored
    std::size_t depth_{};
    int fresh_{};       // what comes from here on was not in the execution before
    bool giving_up_{};  // it is equivalent to another one and only has to come to its end
    std::array<Step, most_threads> given_up_at_{};
    std::vector<Past> past_;
    std::array<std::vector<Accesses>, most_threads + 1> accesses_;
    std::vector<int> conflicts_;
    std::vector<int> others_;
};

Result explore(const Setup& setup, const Options& options) { return Search{setup, options}.run(); }

}  // namespace fusebox::test::explore
