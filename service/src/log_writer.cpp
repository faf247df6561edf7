#include "log_writer.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace fusebox::service {

LogWriter::LogWriter(LogWriterOptions options) : options_(std::move(options)), thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void LogWriter::write(std::string_view line, bool urgent) {
    bool wake = urgent;
    {
        const std::lock_guard lock(mutex_);
        const auto room = options_.max_bytes + (urgent ? options_.urgent_bytes : 0);
        if (waiting_.size() + line.size() + 1 > room) {
            ++dropped_;
            ++dropped_unsaid_;
            return;
        }
        // While lines wait, the writer knows of them.
        wake = wake || waiting_.empty();
        waiting_.append(line).push_back('\n');
        ++all_taken_;
        hurry_ = hurry_ || urgent;
    }
    if (wake) changed_.notify_one();
}

bool LogWriter::flush(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    hurry_ = true;
    changed_.notify_one();
    return written_.wait_for(lock, patience, [this, wanted = all_taken_] { return all_written_ >= wanted; });
}

std::uint64_t LogWriter::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

void LogWriter::run() {
    // Signals are for the thread that waits for them.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);

    std::unique_lock lock(mutex_);
    std::string lines;
    for (;;) {
        changed_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
        if (waiting_.empty()) return;
        changed_.wait_for(lock, options_.gather, [this] { return hurry_ || stopping_; });
        hurry_ = false;
        lines.clear();
        lines.swap(waiting_);
        const auto taken = all_taken_;
        if (const auto unsaid = std::exchange(dropped_unsaid_, 0); unsaid != 0)
            lines.append(options_.describe_dropped(unsaid)).push_back('\n');
        lock.unlock();
        options_.sink(lines);
        lock.lock();
        all_written_ = taken;
        written_.notify_all();
    }
}

}  // namespace fusebox::service
