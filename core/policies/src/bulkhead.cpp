// B1. `State::word` is `calls that wait << 32 | calls that have a slot`. A call takes a free slot, and gives it back
//     while no call waits, by one compare-and-swap and without the mutex.
// B2. `State::mutex` guards the queue and the waiters in it. The waiting half of the word changes only under the mutex:
//     it is the length of the queue whenever no thread holds the mutex.
// B3. While a call waits, every slot is taken. A call begins to wait by a compare-and-swap of a word without a free
//     slot; and while a call waits, release() hands its slot to the first call of the queue: the number of taken slots
//     stays. So no later call overtakes a call that waits.
// B4. A call that gets a slot sees what the call before it did with that slot. Where the slot went back into the word,
//     the release of the subtraction in release() pairs with the acquire of the swap in take_free_slot(); all changes
//     of the word in between are read-modify-writes, which pass the release on. Where the slot was handed over, the
//     mutex publishes it.
// B5. All other accesses of the word are relaxed: a first load is only the guess of a compare-and-swap, and a change of
//     the waiting half gives no slot away.
// B6. `State::rejected` is a counter: refuse() adds to it, metrics() loads it. No other data is published with the
//     counter, so both are relaxed.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fusebox/policies/bulkhead.hpp>
#include <mutex>

#include <fusebox/core/detail/validator.hpp>

namespace fusebox {
namespace {

// B1
constexpr std::uint64_t one_in_flight = 1;
constexpr std::uint64_t one_waiting = std::uint64_t{1} << 32U;
constexpr std::uint32_t in_flight_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
constexpr std::uint32_t waiting_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32U); }

// A call that waits for a slot; on the stack of its thread. Guarded by State::mutex (B2).
struct Waiter {
    std::condition_variable_any changed;
    bool granted{};  // release() has handed a slot over
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

    // False: no slot is free. `current`: the word as it was loaded last; on return, the word that was found.
    bool take_free_slot(std::uint64_t& current) noexcept {
        while (in_flight_of(current) < config.max_concurrent) {
            // acquire: pairs with the release in release() (B4). relaxed on failure: B5.
            if (word.compare_exchange_weak(current, current + one_in_flight, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

    Rejection refuse() noexcept {
        rejected.fetch_add(1, std::memory_order_relaxed);  // B6
        return {.kind = Rejection::Kind::bulkhead_full};
    }

    // With the mutex held. True: `waiter` stands in the queue, or was granted a slot at once. False: no room.
    bool take_slot_or_queue(Waiter& waiter) {
        queue.push_back(&waiter);                             // first, since it may throw
        auto current = word.load(std::memory_order_relaxed);  // B5
        while (true) {
            waiter.granted = take_free_slot(current);
            if (waiter.granted || waiting_of(current) >= config.max_waiting) {
                queue.pop_back();
                return waiter.granted;
            }
            // relaxed: B5. No slot is free in `current` (B3).
            if (word.compare_exchange_weak(current, current + one_waiting, std::memory_order_relaxed)) return true;
        }
    }

    // With the mutex held: the call of `waiter` has ended its wait, with a slot or without.
    void leave_queue(const Waiter& waiter) noexcept {
        if (waiter.granted) return;
        std::erase(queue, &waiter);
        word.fetch_sub(one_waiting, std::memory_order_relaxed);  // B5
    }

    void release() noexcept {
        auto current = word.load(std::memory_order_relaxed);  // B5
        while (waiting_of(current) == 0) {
            // release: pairs with the acquire in take_free_slot() (B4). relaxed on failure: B5.
            if (word.compare_exchange_weak(current, current - one_in_flight, std::memory_order_release,
                                           std::memory_order_relaxed)) {
                return;
            }
        }
        // A call waits: it gets the slot (B3).
        const std::lock_guard lock{mutex};
        if (queue.empty()) {  // the calls that waited have given up since `current` was loaded
            word.fetch_sub(one_in_flight, std::memory_order_release);  // pairs with take_free_slot() (B4)
            return;
        }
        auto* const next = queue.front();
        queue.pop_front();
        word.fetch_sub(one_waiting, std::memory_order_relaxed);  // relaxed: the mutex publishes the slot (B4)
        next->granted = true;
        next->changed.notify_one();  // with the mutex held: afterwards `next` may be gone
    }

    const BulkheadConfig config;
    const BulkheadOptions options;
    alignas(64) std::atomic<std::uint64_t> word{};  // B1
    std::atomic<std::uint64_t> rejected{};          // B6
    std::mutex mutex;                               // guards the queue and its waiters (B2)
    std::deque<Waiter*> queue;
};

Bulkhead::Bulkhead(const BulkheadConfig& config, BulkheadOptions options)
    : state_(std::make_shared<State>(checked(config), options)) {}

void Bulkhead::Slot::release() noexcept {
    if (auto* const state = std::exchange(state_, nullptr)) state->release();
}

std::expected<Bulkhead::Slot, Rejection> Bulkhead::try_enter() const noexcept {
    auto current = state_->word.load(std::memory_order_relaxed);  // B5
    if (state_->take_free_slot(current)) return Slot{*state_};
    return std::unexpected{state_->refuse()};
}

std::expected<Bulkhead::Slot, Rejection> Bulkhead::enter(const CallContext& context) const {
    auto& state = *state_;
    auto current = state.word.load(std::memory_order_relaxed);  // B5
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
    const auto word = state_->word.load(std::memory_order_relaxed);  // relaxed: B5, B6
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
