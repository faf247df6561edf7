// V1 … V6: see state_saver.hpp.
#include "state_saver.hpp"

#include <exception>

namespace fusebox {

void Registry::StateSaver::Marks::add(std::string_view name) {
    {
        const std::lock_guard lock{mutex};
        if (names.contains(name)) return;
        names.emplace(name);
    }
    added.notify_one();
}

Registry::StateSaver::TakenMarks::TakenMarks(Marks& from) : marks(from) {
    const std::lock_guard lock{marks.mutex};
    names.swap(marks.names);
}

Registry::StateSaver::TakenMarks::~TakenMarks() {
    const std::lock_guard lock{marks.mutex};
    marks.names.merge(names);  // moves nodes: allocates nothing
}

Registry::StateSaver::StateSaver(Impl& registry, std::shared_ptr<StateStore> store, Duration interval)
    : registry_(registry), store_(std::move(store)), interval_(interval) {}

void Registry::StateSaver::start() {
    listening_ = registry_.subscribe_breakers(
        [marks = marks_](const CircuitBreaker& breaker, const BreakerEvent& event) {
            if (std::holds_alternative<StateTransitionEvent>(event)) marks->add(breaker.name());
        },
        EventMask::control);
    thread_ = std::jthread{[self = shared_from_this(),
                            registry = registry_.shared_from_this()](const std::stop_token& stop) { self->run(stop); }};
}

void Registry::StateSaver::stop() {
    listening_.cancel();
    thread_.request_stop();
    if (thread_.get_id() == std::this_thread::get_id()) {
        thread_.detach();  // the thread ends when the listener that called this returns
    } else {
        thread_.join();
    }
    save_now();
}

void Registry::StateSaver::run(const std::stop_token& stop) {
    bool good = true;
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock{marks_->mutex};
            // After a failure the marks are still there, and would wake the thread at once: it waits for the interval
            // instead.
            marks_->added.wait_for(lock, stop, interval_, [&] { return good && !marks_->names.empty(); });
        }
        if (stop.stop_requested()) return;
        try {
            good = save_now();
        } catch (...) {
            good = false;  // out of memory, say: the marks are back (V2), and the next interval tries again
        }
    }
}

bool Registry::StateSaver::save_now() {
    Impl::Events events;
    bool good = true;
    {
        const std::lock_guard lock{save_mutex_};  // V3
        TakenMarks taken{*marks_};
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
    registry_.publish(events);  // V4
    return good;
}

std::string Registry::StateSaver::write(const Names& names) {
    try {
        SavedBreakers changed;
        std::vector<std::string> removed;
        for (const auto& name : names) {
            if (const auto breaker = registry_.get(name)) {
                changed.emplace(name, breaker->snapshot());
            } else {
                removed.push_back(name);  // the registry has no such breaker any more: it was removed
            }
        }
        if (!changed.empty()) {
            if (const auto saved = store_->save(changed); !saved) return saved.error().message;
        }
        if (!removed.empty()) {
            if (const auto dropped = store_->remove(removed); !dropped) return dropped.error().message;
        }
        Names open;
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
