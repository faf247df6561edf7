#include "scheduler.hpp"

#include <ucontext.h>

#include <bit>
#include <cassert>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define FUSEBOX_EXPLORE_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUSEBOX_EXPLORE_ASAN
#endif
#endif
#ifdef FUSEBOX_EXPLORE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace fusebox::test::explore {
namespace {

constexpr std::size_t stack_bytes = 262'144;

Scheduler* running = nullptr;

// Numbers of atomics and mutexes: by who made them (0: before the threads), then in order.
std::array<std::uint32_t, most_threads + 1> made{};

}  // namespace

struct Scheduler::Fiber {
    ucontext_t context{};
    std::unique_ptr<std::byte[]> stack;
#ifdef FUSEBOX_EXPLORE_ASAN
    void* fake_stack{};
    const void* bottom{};
    std::size_t size{};
#endif
};

Scheduler::Scheduler() : main_(std::make_unique<Fiber>()) {
    for (unsigned thread = 0; thread < most_threads; ++thread) {
        auto& fiber = *fibers_.emplace_back(std::make_unique<Fiber>());
        fiber.stack = std::make_unique_for_overwrite<std::byte[]>(stack_bytes);
#ifdef FUSEBOX_EXPLORE_ASAN
        fiber.bottom = fiber.stack.get();
        fiber.size = stack_bytes;
#endif
    }
}
Scheduler::~Scheduler() = default;

void Scheduler::switch_to(Fiber& from, Fiber& to) noexcept {
#ifdef FUSEBOX_EXPLORE_ASAN
    __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
    swapcontext(&from.context, &to.context);
#ifdef FUSEBOX_EXPLORE_ASAN
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void Scheduler::enter() noexcept {
    auto& scheduler = *running;
#ifdef FUSEBOX_EXPLORE_ASAN
    // It comes from the main stack, of which nobody else knows where it is.
    __sanitizer_finish_switch_fiber(nullptr, &scheduler.main_->bottom, &scheduler.main_->size);
#endif
    scheduler.body_of(scheduler.standing_.current);
}

void Scheduler::body_of(unsigned thread) noexcept {
    (*bodies_)[thread]();
    alive_ &= ~(1U << thread);
    standing_.next[thread] = {};
    held_[thread] = nullptr;
    pass_on(thread);
    assert(false && "a thread that has ended has no turn");
}

// Gives the turn to whom the chooser names; returns when `from` has it again.
void Scheduler::pass_on(unsigned from) noexcept {
    if (starting_) return switch_to(*fibers_[from], *main_);
    standing_.enabled = 0;
    for (unsigned thread = 0; thread < standing_.threads; ++thread) {
        const auto blocked = held_[thread] != nullptr && *held_[thread];
        if ((alive_ & 1U << thread) != 0 && !blocked) standing_.enabled |= 1U << thread;
    }
    if (standing_.enabled == 0 || ++steps_ > longest_execution) {
        ending_ = alive_ == 0 ? Ending::all_ended : standing_.enabled == 0 ? Ending::deadlock : Ending::too_long;
        return switch_to(*fibers_[from], *main_);
    }
    standing_.current = (*choose_)(standing_);
    if (standing_.current != from) switch_to(*fibers_[from], *fibers_[standing_.current]);
}

void Scheduler::take_turn(const Step& step, const std::source_location& where, const bool* held) noexcept {
    const auto thread = standing_.current;
    standing_.next[thread] = step;
    standing_.where[thread] = where;
    held_[thread] = held;
    pass_on(thread);
}

Ending Scheduler::run(const std::vector<std::function<void()>>& bodies, const Choose& choose) {
    assert(!bodies.empty() && bodies.size() <= most_threads && running == nullptr);
    bodies_ = &bodies;
    choose_ = &choose;
    standing_ = {.threads = static_cast<unsigned>(bodies.size())};
    held_ = {};
    steps_ = 0;
    alive_ = (1U << bodies.size()) - 1;
    running = this;

    // What a thread does before its first step concerns nobody else.
    starting_ = true;
    for (unsigned thread = 0; thread < bodies.size(); ++thread) {
        auto& fiber = *fibers_[thread];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, &Scheduler::enter, 0);
        standing_.current = thread;
        switch_to(*main_, fiber);
    }
    starting_ = false;

    if (alive_ == 0) {
        ending_ = Ending::all_ended;
    } else {
        standing_.enabled = alive_;  // nobody holds a mutex yet
        standing_.current = static_cast<unsigned>(std::countr_zero(alive_));
        standing_.current = choose(standing_);
        switch_to(*main_, *fibers_[standing_.current]);
    }
    running = nullptr;
    return ending_;
}

void step(Kind kind, std::uint32_t location, const std::source_location& where, const bool* held) noexcept {
    if (running == nullptr || running->coarse_ != (kind == Kind::operation)) return;
    running->take_turn({kind, location}, where, held);
}

std::uint32_t new_location() noexcept {
    const auto maker = running == nullptr ? 0U : 1U + current_thread();
    return maker << 24U | made[maker]++;
}

void reset_locations() noexcept { made = {}; }

unsigned current_thread() noexcept { return running == nullptr ? 0 : running->standing_.current; }

}  // namespace fusebox::test::explore
