// Saves the states of a registry's breakers, on a thread of its own (R52).
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "registry_impl.hpp"

namespace fusebox {

/// Shared by the registry and the thread, which ends with `stop`. Any thread.
class Registry::StateSaver : public std::enable_shared_from_this<StateSaver> {
public:
    StateSaver(Impl& registry, std::shared_ptr<StateStore> store, Duration interval);

    void start();
    /// Saves a last time. Once, at the end; also from a listener on the saver's own thread.
    void stop();

    /// The breaker of this name changed its state, or was removed. Wakes the thread; waits for no store.
    void mark(std::string_view name) { marked_->add(name); }
    bool save_now();

private:
    /// Shared with the listener, of which a delivery may still be under way when the saver ends.
    struct Marked {
        std::mutex mutex;  // guards names
        std::condition_variable_any changed;
        std::set<std::string, std::less<>> names;

        void add(std::string_view name);
    };
    /// Takes all marks; what is left in `names` is marked again when it goes, also when that is by an exception.
    struct Taken {
        explicit Taken(Marked& marked);
        Taken(const Taken&) = delete;
        Taken& operator=(const Taken&) = delete;
        ~Taken();

        Marked& from;
        std::set<std::string, std::less<>> names;
    };

    void run(const std::stop_token& stop);
    std::string write(const std::set<std::string, std::less<>>& names);

    Impl& registry_;  // lives as long as the thread
    const std::shared_ptr<StateStore> store_;
    const Duration interval_;
    const std::shared_ptr<Marked> marked_ = std::make_shared<Marked>();

    std::mutex saving_;                        // guards the store and what follows; one save at a time
    std::set<std::string, std::less<>> open_;  // when last saved; their time left runs
    bool failing_{};

    Subscription listening_;
    std::jthread thread_;
};

}  // namespace fusebox
