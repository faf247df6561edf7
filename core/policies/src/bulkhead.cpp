#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fusebox/policies/bulkhead.hpp>
#include <mutex>

#include <fusebox/core/detail/validator.hpp>

namespace fusebox {
namespace {

// One word: how many calls wait << 32 | how many are under way. While somebody waits every slot is taken: who begins to
// wait has seen that in the same exchange, and what is freed then is handed over.
constexpr std::uint64_t one_in_flight = 1;
constexpr std::uint64_t one_waiting = std::uint64_t{1} << 32U;
constexpr std::uint32_t in_flight_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
constexpr std::uint32_t waiting_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32U); }

// A call that waits for a slot; on its own stack.
struct Waiter {
    std::condition_variable_any changed;
    bool granted{};
};

const BulkheadConfig& checked(const BulkheadConfig& config) {
    detail::Validator validator;
    validator.count("max_concurrent", config.max_concurrent, 1, 1'000'000);
    validator.count("max_waiting", config.max_waiting, 0, 1'000'000);
    validator.within("max_wait", config.max_wait, Duration{1}, std::chrono::hours{24});
    validator.finish("bulkhead");
    return config;
}

}  // namespace

struct Bulkhead::State {
    State(const BulkheadConfig& config_in, BulkheadOptions options_in) : config(config_in), options(options_in) {}

    // False: there is none. `current`: the word as it was read last, before and after.
    bool take_free_slot(std::uint64_t& current) noexcept {
        while (in_flight_of(current) < config.max_concurrent) {
            // acquire: pairs with the release in `release`, so that who had the slot before is done with it.
            if (word.compare_exchange_weak(current, current + one_in_flight, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

    Rejection refuse() noexcept {
        rejected.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter that nothing depends on
        return {.kind = Rejection::Kind::bulkhead_full};
    }

    // With the lock held. True: `waiter` stands in the queue, or was granted a slot at once. False: no room.
    bool take_slot_or_queue(Waiter& waiter) {
        queue.push_back(&waiter);                             // first, since it may throw
        auto current = word.load(std::memory_order_relaxed);  // relaxed: the exchange below decides
        while (true) {
            waiter.granted = take_free_slot(current);
            if (waiter.granted || waiting_of(current) >= config.max_waiting) {
                queue.pop_back();
                return waiter.granted;
            }
            if (word.compare_exchange_weak(current, current + one_waiting, std::memory_order_relaxed)) return true;
        }
    }

    // With the lock held: `waiter` no longer waits, granted or not.
    void leave_queue(const Waiter& waiter) noexcept {
        if (waiter.granted) return;
        std::erase(queue, &waiter);
        word.fetch_sub(one_waiting, std::memory_order_relaxed);  // relaxed: no slot changes hands
    }

    void release() noexcept {
        auto current = word.load(std::memory_order_relaxed);  // relaxed: the exchange below decides
        while (waiting_of(current) == 0) {
            // release: pairs with the acquire in take_free_slot.
            if (word.compare_exchange_weak(current, current - one_in_flight, std::memory_order_release,
                                           std::memory_order_relaxed)) {
                return;
            }
        }
        // Somebody waits: the slot is handed over, so that nobody can overtake.
        const std::lock_guard lock{mutex};
        if (queue.empty()) {  // who waited has given up meanwhile
            word.fetch_sub(one_in_flight, std::memory_order_release);
            return;
        }
        auto* const next = queue.front();
        queue.pop_front();
        word.fetch_sub(one_waiting, std::memory_order_relaxed);  // relaxed: the lock publishes what belongs to the slot
        next->granted = true;
        next->changed.notify_one();  // with the lock held: afterwards `next` may be gone
    }

    const BulkheadConfig config;
    const BulkheadOptions options;
    alignas(64) std::atomic<std::uint64_t> word{};
    std::atomic<std::uint64_t> rejected{};
    std::mutex mutex;  // guards the queue and its waiters
    std::deque<Waiter*> queue;
};

Bulkhead::Bulkhead(const BulkheadConfig& config, BulkheadOptions options)
    : state_(std::make_shared<State>(checked(config), options)) {}

void Bulkhead::Slot::release() noexcept {
    if (auto* const state = std::exchange(state_, nullptr)) state->release();
}

std::expected<Bulkhead::Slot, Rejection> Bulkhead::try_enter() const noexcept {
    auto current = state_->word.load(std::memory_order_relaxed);  // relaxed: the exchange decides
    if (state_->take_free_slot(current)) return Slot{*state_};
    return std::unexpected{state_->refuse()};
}

std::expected<Bulkhead::Slot, Rejection> Bulkhead::enter(const CallContext& context) const {
    auto& state = *state_;
    auto current = state.word.load(std::memory_order_relaxed);  // relaxed: the exchange decides
    if (state.take_free_slot(current)) return Slot{state};
    if (state.config.max_waiting == 0) return std::unexpected{state.refuse()};

    auto patience = state.config.max_wait;
    if (const auto deadline = context.deadline()) patience = std::min(patience, *deadline - state.options.clock->now());
    if (patience <= Duration::zero() || context.stop_requested()) return std::unexpected{state.refuse()};

    Waiter waiter;
    std::unique_lock lock{state.mutex};
    if (!state.take_slot_or_queue(waiter)) return std::unexpected{state.refuse()};
    try {
        state.options.sleeper->wait(lock, waiter.changed, patience, context.stop_token(),
                                    [&] { return waiter.granted; });
    } catch (...) {
        if (!lock.owns_lock()) lock.lock();
        state.leave_queue(waiter);
        lock.unlock();
        if (waiter.granted) state.release();
        throw;
    }
    state.leave_queue(waiter);
    if (waiter.granted) return Slot{state};
    return std::unexpected{state.refuse()};
}

BulkheadMetrics Bulkhead::metrics() const noexcept {
    const auto word = state_->word.load(std::memory_order_relaxed);
    return {.in_flight = in_flight_of(word),
            .waiting = waiting_of(word),
            .rejected = state_->rejected.load(std::memory_order_relaxed)};
}

std::string Bulkhead::describe() const {
    auto text = "bulkhead(" + std::to_string(state_->config.max_concurrent);
    if (state_->config.max_waiting > 0) text += ", " + std::to_string(state_->config.max_waiting) + " waiting";
    return text + ")";
}

}  // namespace fusebox
