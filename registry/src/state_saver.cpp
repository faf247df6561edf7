#include "state_saver.hpp"

#include <exception>

namespace fusebox {

void Registry::StateSaver::Marked::add(std::string_view name) {
    {
        const std::lock_guard lock{mutex};
        if (names.contains(name)) return;
        names.emplace(name);
    }
    changed.notify_one();
}

Registry::StateSaver::Taken::Taken(Marked& marked) : from(marked) {
    const std::lock_guard lock{from.mutex};
    names.swap(from.names);
}

Registry::StateSaver::Taken::~Taken() {
    const std::lock_guard lock{from.mutex};
    from.names.merge(names);
}

Registry::StateSaver::StateSaver(Impl& registry, std::shared_ptr<StateStore> store, Duration interval)
    : registry_(registry), store_(std::move(store)), interval_(interval) {}

void Registry::StateSaver::start() {
    listening_ = registry_.subscribe_breakers(
        [marked = marked_](const CircuitBreaker& breaker, const BreakerEvent& event) {
            if (std::holds_alternative<StateTransitionEvent>(event)) marked->add(breaker.name());
        },
        EventMask::control);
    thread_ = std::jthread{[self = shared_from_this(),
                            registry = registry_.shared_from_this()](const std::stop_token& stop) { self->run(stop); }};
}

void Registry::StateSaver::stop() {
    listening_.cancel();
    thread_.request_stop();
    if (thread_.get_id() == std::this_thread::get_id()) {
        thread_.detach();  // it ends when the listener that called this returns
    } else {
        thread_.join();
    }
    save_now();
}

void Registry::StateSaver::run(const std::stop_token& stop) {
    bool good = true;
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock{marked_->mutex};
            // After a failure not at once again, whatever happens.
            marked_->changed.wait_for(lock, stop, interval_, [&] { return good && !marked_->names.empty(); });
        }
        if (stop.stop_requested()) return;
        try {
            good = save_now();
        } catch (...) {
            good = false;  // out of memory, say: what is marked stays so, and is tried again at the next interval
        }
    }
}

bool Registry::StateSaver::save_now() {
    Impl::Events events;
    bool good = true;
    {
        const std::lock_guard lock{saving_};
        Taken taken{*marked_};
        auto all = taken.names;
        all.insert(open_.begin(), open_.end());
        if (const auto error = write(all); !error.empty()) {
            good = false;
            if (!failing_) events.emplace_back(StateSaveFailedEvent{error});
        } else {
            taken.names.clear();
            if (failing_) events.emplace_back(StateSaveRecoveredEvent{});
        }
        failing_ = !good;
    }
    registry_.publish(events);
    return good;
}

/// What went wrong; empty: nothing. A breaker that the registry does not have was removed.
std::string Registry::StateSaver::write(const std::set<std::string, std::less<>>& names) {
    try {
        SavedBreakers changed;
        std::vector<std::string> removed;
        for (const auto& name : names) {
            if (const auto breaker = registry_.get(name)) {
                changed.emplace(name, breaker->snapshot());
            } else {
                removed.push_back(name);
            }
        }
        if (!changed.empty()) {
            if (const auto saved = store_->save(changed); !saved) return saved.error().message;
        }
        if (!removed.empty()) {
            if (const auto dropped = store_->remove(removed); !dropped) return dropped.error().message;
        }
        std::set<std::string, std::less<>> open;
        for (const auto& [name, snapshot] : changed) {
            if (snapshot.state == State::open) open.insert(name);
        }
        open_.swap(open);
        return {};
    } catch (const std::exception& error) {
        return std::string{"the state store threw: "} + error.what();
    } catch (...) {
        return "the state store threw";
    }
}

}  // namespace fusebox
