#include "signals.hpp"

#include <pthread.h>

namespace fusebox::service {

void hold_reload_signal() {
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &reload, nullptr);
}

Signals::Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error of its write, not our end
}

Signals::Kind Signals::wait() {
    int signal = 0;
    while (sigwait(&set_, &signal) != 0) {
    }
    return signal == SIGHUP ? Kind::reload : Kind::stop;
}

std::optional<Signals::Kind> Signals::wait_for(std::chrono::milliseconds time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds{time - seconds}.count()};
    const int signal = sigtimedwait(&set_, nullptr, &limit);
    if (signal < 0) return std::nullopt;
    return signal == SIGHUP ? Kind::reload : Kind::stop;
}

}  // namespace fusebox::service
