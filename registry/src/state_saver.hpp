// Saves the states of a registry's breakers, on a thread of its own (R52).
//
// V1. A mark is the name of a breaker whose state the store may not have yet. `Marks::mutex` guards the marks. It is
//     the last lock that a thread takes, nothing is called under it, and so a breaker's listener that adds a mark waits
//     for no store.
// V2. A mark goes only when its breaker is saved. A save takes all marks out (`TakenMarks`); the marks that are left
//     when it ends go back, also when it ends by an exception. A mark that is added during the save waits for the next
//     one.
// V3. `save_mutex_` guards the calls of the store, `open_` and `failing_`: one save at a time, on the saver's thread or
//     on that of whoever asks for one. It is held for as long as the store takes. No call through a breaker takes it.
// V4. Order of locks: `save_mutex_`, then the registry's (a save looks breakers up), then `Marks::mutex`. So stop() and
//     save_now() are called without the registry's lock. Events are published after `save_mutex_` is released.
// V5. The listener shares the marks only: a delivery may still be under way when the saver has ended. The thread shares
//     the saver and the registry's inside: both live until the thread has ended.
// V6. start() and stop() alone touch `listening_` and `thread_`, each once, and stop() after start() has returned: the
//     registry publishes the saver, under its own lock, only then.
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

/// Shared by the registry and the saver's thread, which ends with `stop`.
///
/// Thread contract: `mark` and `save_now` from any thread; `start` once, then `stop` once.
class Registry::StateSaver : public std::enable_shared_from_this<StateSaver> {
public:
    StateSaver(Impl& registry, std::shared_ptr<StateStore> store, Duration interval);

    void start();
    /// Ends the thread and saves a last time. Also from a listener on the saver's own thread.
    void stop();

    /// The breaker of this name changed its state, or was removed. Wakes the thread; waits for no store (V1).
    void mark(std::string_view name) { marks_->add(name); }
    /// Saves on the calling thread; false where the store failed.
    bool save_now();

private:
    using Names = std::set<std::string, std::less<>>;
    /// V1. Shared with the listener (V5).
    struct Marks {
        std::mutex mutex;                   // guards names (V1)
        std::condition_variable_any added;  // the saver's thread waits here for a name
        Names names;

        void add(std::string_view name);
    };
    /// All marks, taken out when it is made. The destructor puts back those that are left in `names` (V2).
    struct TakenMarks {
        explicit TakenMarks(Marks& from);
        TakenMarks(const TakenMarks&) = delete;
        TakenMarks& operator=(const TakenMarks&) = delete;
        ~TakenMarks();

        Marks& marks;
        Names names;
    };

    void run(const std::stop_token& stop);
    /// Under save_mutex_. Gives what went wrong; empty: nothing did.
    std::string write(const Names& names);

    Impl& registry_;  // V5
    const std::shared_ptr<StateStore> store_;
    const Duration interval_;
    const std::shared_ptr<Marks> marks_ = std::make_shared<Marks>();

    std::mutex save_mutex_;  // guards the calls of store_, open_ and failing_ (V3)
    // Names of the breakers that were open when last saved. Every save repeats these breakers, because their time left
    // has become shorter.
    Names open_;
    bool failing_{};  // the last save failed

    Subscription listening_;  // V6
    std::jthread thread_;     // V6
};

}  // namespace fusebox
