// Breakers that leave the registry (R63, R65).
#include <string>
#include <utility>

#include "registry_impl.hpp"
#include "state_saver.hpp"

namespace fusebox {

bool Registry::Impl::remove(std::string_view name) {
    Events events;
    Removed removed;
    {
        const std::lock_guard lock{mutex_};
        const auto at = table_.find(name);
        if (at == Table::nowhere) {
            // The state store may still have the breaker, from before the restart.
            if (saved_.erase(std::string{name}) != 0) saver_->mark(name);
            return false;
        }
        removed = take(at, events);
    }
    removed.ended.clear();  // before the event, whose listeners find the subscriptions ended
    publish(events);
    return true;
}

Registry::Impl::Removed Registry::Impl::take(std::size_t at, Events& events) {
    const bool was_in_sum = table_.record(at).in_sum;
    Removed removed{.breaker = table_.extract(at), .ended = {}};
    if (was_in_sum) removed_from_sum_.push_back(removed.breaker);
    if (saver_) saver_->mark(removed.breaker->name());
    for (auto& [id, listener] : shared_listeners_) {
        if (auto node = listener.subscriptions.extract(removed.breaker.get())) {
            removed.ended.push_back(std::move(node.mapped()));
        }
    }
    events.emplace_back(BreakerRemovedEvent{removed.breaker->name()});
    return removed;
}

std::optional<Registry::Impl::Removed> Registry::Impl::take_unused(const std::shared_ptr<CircuitBreaker>& breaker,
                                                                   Events& events) {
    const std::lock_guard lock{mutex_};
    const auto at = table_.find(breaker->name());
    if (at == Table::nowhere || table_.breaker(at) != breaker) return std::nullopt;
    // The one holder is the caller. While the lock is held alone nobody looks the breaker up, so a copy could only be
    // made from a copy: there is no other one, and none can come.
    if (table_.holders(at) != 1) return std::nullopt;
    if (breaker->state() != State::closed) return std::nullopt;
    return take(at, events);
}

void Registry::Impl::clear() {
    Events events;
    std::vector<Removed> removed;
    {
        const std::lock_guard lock{mutex_};
        std::vector<std::string_view> names;
        table_.for_each([&](std::size_t at) { names.push_back(table_.name(at)); });
        for (const auto name : names) removed.push_back(take(table_.find(name), events));
        // What the state store has from before the restart goes too, as in remove().
        for (const auto& [name, snapshot] : saved_) saver_->mark(name);
        saved_.clear();
    }
    for (auto& one : removed) one.ended.clear();
    publish(events);
}

}  // namespace fusebox
