// Bounds how many calls to a dependency are under way at once.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <utility>

#include <fusebox/core/clock.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

struct BulkheadConfig {
    std::uint32_t max_concurrent{16};  ///< calls under way at once; 1 … 1'000'000; default 16
    std::uint32_t max_waiting{0};      ///< calls that may wait for a slot; 0 … 1'000'000; default 0: nobody waits
    Duration max_wait{std::chrono::seconds{1}};  ///< how long each may wait; above 0, at most 1 day; default 1 s
    bool operator==(const BulkheadConfig&) const = default;
};

/// What a bulkhead is built with besides its configuration. All optional.
struct BulkheadOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the policy
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// A snapshot; the totals since the policy was made.
struct BulkheadMetrics {
    std::uint32_t in_flight{};  ///< slots taken
    std::uint32_t waiting{};    ///< calls in the queue
    std::uint64_t rejected{};   ///< calls that got `bulkhead_full`
};

/// Slots for concurrent calls: a dependency that turns slow holds `max_concurrent` callers and not the whole program. A
/// call without a slot waits in a bounded first-come queue, or is rejected with `bulkhead_full`.
///
/// A handle: copies share the slots. Thread contract: any thread at any time. Taking and freeing a slot is lock-free
/// while nobody waits; a call that waits takes a short lock and allocates.
///
///     fusebox::Bulkhead bulkhead{{.max_concurrent = 8, .max_waiting = 20, .max_wait = 100ms}};
///     auto answer = fusebox::call_with(bulkhead, [&] { return client.fetch(key); });
class Bulkhead {
    struct State;

public:
    /// One taken slot; frees it when destroyed. One thread at a time. The bulkhead must outlive it.
    class [[nodiscard]] Slot {
    public:
        Slot(Slot&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
        Slot& operator=(Slot&& other) noexcept {
            if (this != &other) {
                release();
                state_ = std::exchange(other.state_, nullptr);
            }
            return *this;
        }
        ~Slot() { release(); }
        /// Frees the slot now. A second time does nothing.
        void release() noexcept;

    private:
        friend class Bulkhead;
        explicit Slot(State& state) noexcept : state_(&state) {}
        State* state_;
    };

    /// Throws `InvalidConfig`.
    explicit Bulkhead(const BulkheadConfig& config = {}, BulkheadOptions options = {});

    /// Never waits, and never overtakes who waits.
    [[nodiscard]] std::expected<Slot, Rejection> try_enter() const noexcept;
    /// Waits for a slot where the queue has room: at most `max_wait`, and no longer than the context's deadline and
    /// stop token allow.
    [[nodiscard]] std::expected<Slot, Rejection> enter(const CallContext& context) const;

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        const auto slot = enter(context);
        if (!slot) return AnswerOf<Next>{std::unexpect, slot.error()};
        return next(context);
    }

    [[nodiscard]] BulkheadMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    std::shared_ptr<State> state_;
};

}  // namespace fusebox
