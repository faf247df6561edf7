// States of breakers that outlive the registry: loaded, given to the breakers, and saved (R52).
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <fusebox/text/duration.hpp>

#include "registry_impl.hpp"
#include "state_saver.hpp"

namespace fusebox {
namespace {

bool keeps_calls_away(State state) {
    return state == State::open || state == State::forced_open || state == State::half_open;
}

constexpr Duration longest_interval = std::chrono::hours{24};

SavedBreakers load_from(StateStore& store, std::vector<RegistryEvent>& events) {
    try {
        auto loaded = store.load_all();
        if (loaded) return *std::move(loaded);
        events.emplace_back(StateLoadFailedEvent{loaded.error().message});
    } catch (const std::exception& error) {
        events.emplace_back(StateLoadFailedEvent{fmt::format("the state store threw: {}", error.what())});
    } catch (...) {
        events.emplace_back(StateLoadFailedEvent{"the state store threw"});
    }
    return {};
}

}  // namespace

void Registry::Impl::restore(const std::shared_ptr<CircuitBreaker>& breaker, const BreakerSnapshot& snapshot,
                             Events& events) {
    try {
        breaker->restore(snapshot);
    } catch (const InvalidSnapshot& error) {
        events.emplace_back(StateLoadFailedEvent{fmt::format("{}: {}", breaker->name(), error.what())});
        return;
    }
    events.emplace_back(BreakerRestoredEvent{.breaker = breaker,
                                             .restored = {.saved = snapshot.state,
                                                          .state = breaker->state(),
                                                          .time_left = breaker->metrics().retry_after,
                                                          .taken_at = snapshot.taken_at}});
}

void Registry::Impl::keep_state(std::shared_ptr<StateStore> store, Duration interval) {
    if (interval <= Duration::zero() || interval > longest_interval) {
        throw std::invalid_argument{fmt::format("keep_state: interval is {}, must be greater than 0 and at most {}",
                                                text::format_duration(interval),
                                                text::format_duration(longest_interval))};
    }
    // The store before is written a last time before this one is read: they may be the same.
    stop_keeping();
    if (!store) return;
    Events events;
    auto loaded = load_from(*store, events);
    auto saver = std::make_shared<StateSaver>(*this, std::move(store), interval);
    saver->start();
    for (const auto& [breaker, snapshot] : replace_saver(saver, std::move(loaded))) {
        // The breaker may trip between this look at its generation and the restoring. So only a state that keeps calls
        // away is restored: no saved state lets calls through that a trip has just stopped.
        if (snapshot && keeps_calls_away(snapshot->state) && breaker->generation() == 0) {
            restore(breaker, *snapshot, events);
        } else if (breaker->generation() != 0) {
            saver->mark(breaker->name());
        }
    }
    publish(events);
}

std::vector<Registry::Impl::SavedBreaker> Registry::Impl::replace_saver(std::shared_ptr<StateSaver> saver,
                                                                        SavedBreakers saved) {
    std::vector<SavedBreaker> present;
    {
        const std::lock_guard lock{mutex_};
        saver_.swap(saver);
        saved_ = std::move(saved);
        table_.for_each([&](std::size_t at) {
            auto node = saved_.extract(table_.breaker(at)->name());
            present.push_back({table_.breaker(at), node ? std::optional{std::move(node.mapped())} : std::nullopt});
        });
    }
    if (saver) saver->stop();  // the one before; without the lock, because its last save looks breakers up
    return present;
}

bool Registry::Impl::save_now() {
    std::shared_ptr<StateSaver> saver;
    {
        const Shared lock{mutex_};
        saver = saver_;
    }
    // Without the lock: the store takes as long as it takes, and the saver looks breakers up.
    return !saver || saver->save_now();
}

}  // namespace fusebox
