#include "upkeep.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace fusebox::service {

Upkeep::Upkeep(UpkeepOptions options) : options_(std::move(options)) {
    const auto now = options_.clock->now();
    for (const auto& job : options_.jobs) jobs_.push_back({.job = job, .due = now + job.first});
}

Upkeep::~Upkeep() { stop(); }

std::expected<UpkeepResult, std::string> Upkeep::run(const UpkeepJob& job) {
    std::expected<UpkeepResult, std::string> result;
    try {
        result = job.run();
    } catch (const std::exception& error) {
        result = std::unexpected(std::string{error.what()});
    } catch (...) {
        result = std::unexpected(std::string{"it threw what is no std::exception"});
    }
    try {
        if (options_.on_run) options_.on_run(job, result);
    } catch (...) {  // who could be told has just failed; the other jobs and the next runs go on
    }
    return result;
}

Duration Upkeep::run_due() {
    for (auto& [job, due] : jobs_) {
        if (options_.clock->now() < due) continue;
        const auto result = run(job);
        due = options_.clock->now() + (result && result->more ? options_.breath : job.every);
    }
    if (jobs_.empty()) return std::chrono::hours{1};
    return std::ranges::min_element(jobs_, {}, &Scheduled::due)->due - options_.clock->now();
}

void Upkeep::start() {
    thread_ = std::thread{[this] {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            lock.unlock();
            const auto wait = run_due();
            lock.lock();
            stop_.wait_for(lock, std::max(wait, Duration::zero()), [this] { return stopping_; });
        }
    }};
}

void Upkeep::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_one();
    thread_.join();
    for (const auto& scheduled : jobs_) {
        if (!scheduled.job.at_stop) continue;
        [[maybe_unused]] const auto told_to_on_run = run(scheduled.job);
    }
}

}  // namespace fusebox::service
