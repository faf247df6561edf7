#include "reception.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <system_error>

namespace fusebox::middleware {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Step = Connection::Step;

constexpr milliseconds stop_grace{3000};
/// After the system had no descriptor for a connection.
constexpr milliseconds accept_pause{10};
/// So many of those who are here make room then, so that the store finds a descriptor too.
constexpr int room_when_exhausted = 16;
/// Then those who are here have their turn, however many come.
constexpr int accepts_a_round = 64;

constexpr Refusal too_slow{408, "the head of the request came too slowly"};
constexpr Refusal too_many{503, "too many connections"};
constexpr Refusal no_thread{503, "every thread is busy"};

}  // namespace

Reception::Reception(Listener listener, ReceptionLimits limits, ReceptionHooks hooks)
    : listener_(std::move(listener)),
      limits_(limits),
      hooks_(std::move(hooks)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (wake_.get() < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Reception::~Reception() { stop(); }

void Reception::start() {
    {
        const std::lock_guard lock{mutex_};
        open_ = true;
    }
    loop_ = std::thread{[this] { run(); }};
}

void Reception::stop() {
    if (!loop_.joinable()) return;
    stopping_ = true;
    wake();
    loop_.join();
}

void Reception::wake() const {
    const std::uint64_t one = 1;
    // Fails only where the counter is full, and then the loop wakes anyhow.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void Reception::thread_is_free() const {
    if (crowded()) wake();
}

void Reception::take_back(std::unique_ptr<Connection> connection) {
    {
        const std::lock_guard lock{mutex_};
        if (!open_) return;
        arrivals_.push_back(std::move(connection));
    }
    wake();
}

void Reception::run() {
    block_broken_pipe_signal();
    while (!finished()) {
        try {
            wait_for_events();
            collect();
            accept_all();
            hand_over();
        } catch (...) {  // no memory: whoever has been here longest makes room, and the next round goes on
            if (!here_.empty()) here_.pop_front();
        }
    }
    {
        const std::lock_guard lock{mutex_};
        open_ = false;
        arrivals_.clear();
    }
    waiting_ = 0;
    starved_ = false;
    here_.clear();
}

/// Once the server stops: true when nobody is left who has begun a request, or the time for them is over.
bool Reception::finished() {
    if (!stopping_) return false;
    if (!stop_deadline_) {
        stop_deadline_ = Clock::now() + stop_grace;
        listener_ = {};
    }
    std::erase_if(here_, [](Visit& visit) {
        return visit.connection->leaving() || visit.connection->look_for_head() == Connection::Head::none;
    });
    return here_.empty() || Clock::now() >= *stop_deadline_;
}

Reception::Time Reception::deadline(const Visit& visit) const {
    if (visit.connection->leaving()) return visit.connection->leave_deadline();
    if (visit.whole_since) return *visit.whole_since + limits_.thread_timeout;
    return visit.connection->head_deadline(limits_.keep_alive, limits_.head_timeout);
}

/// Waits, lets every connection that something has happened to go on, and ends what is overdue.
void Reception::wait_for_events() {
    std::vector<pollfd> entries;
    entries.reserve(here_.size() + 2);
    const bool accepts = listener_.socket.get() >= 0 && !accept_again_;
    entries.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
    entries.push_back({.fd = accepts ? listener_.socket.get() : -1, .events = POLLIN, .revents = 0});
    std::optional<Time> next = stop_deadline_;
    const auto sooner = [&](Time time) { next = next ? std::min(*next, time) : time; };
    if (accept_again_) sooner(*accept_again_);
    for (const auto& visit : here_) {
        // What comes behind a whole head is left where it is; a connection that broke is told of without being asked.
        const short reading = visit.wants == Step::wants_output ? POLLOUT : POLLIN;
        const short events = visit.whole_since ? short{0} : reading;
        entries.push_back({.fd = visit.connection->socket(), .events = events, .revents = 0});
        sooner(deadline(visit));
    }
    int timeout = -1;
    if (next) {
        constexpr milliseconds longest{60'000};
        timeout = static_cast<int>(
            std::clamp(std::chrono::ceil<milliseconds>(*next - Clock::now()), milliseconds{0}, longest).count());
    }
    ::poll(entries.data(), entries.size(), timeout);
    if (entries[0].revents != 0) {
        std::uint64_t count{};
        [[maybe_unused]] const auto read = ::read(wake_.get(), &count, sizeof count);
    }

    const auto now = Clock::now();
    auto entry = entries.begin() + 2;
    for (auto visit = here_.begin(); visit != here_.end(); ++entry) {
        bool stays = entry->revents == 0 || advance(*visit);
        if (stays && deadline(*visit) <= now) stays = on_deadline(*visit);
        visit = stays ? std::next(visit) : here_.erase(visit);
    }
}

void Reception::collect() {
    std::vector<std::unique_ptr<Connection>> arrivals;
    {
        const std::lock_guard lock{mutex_};
        arrivals.swap(arrivals_);
    }
    for (auto& connection : arrivals) enter(std::move(connection));
}

void Reception::accept_all() {
    if (accept_again_ && Clock::now() < *accept_again_) return;
    accept_again_.reset();
    for (int i = 0; i < accepts_a_round && listener_.socket.get() >= 0; ++i) {
        auto accepted = accept_next(listener_);
        if (accepted.exhausted) {
            accept_again_ = Clock::now() + accept_pause;
            for (int room = 0; room < room_when_exhausted && !here_.empty(); ++room) make_room();
            return;
        }
        if (accepted.socket.get() < 0) return;
        if (auto connection = hooks_.make(std::move(accepted.socket))) enter(std::move(connection));
    }
}

void Reception::enter(std::unique_ptr<Connection> connection) {
    if (here_.size() >= limits_.most) make_room();
    auto& visit = here_.emplace_back(Visit{.connection = std::move(connection)});
    if (!advance(visit)) here_.pop_back();
}

/// R3.
void Reception::make_room() {
    auto victim = std::ranges::find_if(here_, [](const Visit& visit) { return !visit.whole_since; });
    if (victim == here_.end()) victim = here_.begin();
    ++turned_away_;
    if (!victim->connection->leaving()) hooks_.refuse(*victim->connection, too_many);
    here_.erase(victim);
}

/// Refuses; true: the peer is listened to for a moment still.
bool Reception::turn_out(Visit& visit, const Refusal& refusal) {
    visit.whole_since.reset();
    visit.wants = Step::wants_input;
    hooks_.refuse(*visit.connection, refusal);
    visit.connection->leave();
    return true;
}

/// As far as a connection can go without waiting. False: it has ended.
bool Reception::advance(Visit& visit) {
    auto& connection = *visit.connection;
    if (visit.whole_since) return false;  // the connection broke
    if (connection.leaving()) return connection.discard() != Step::ended;
    if (!connection.ready()) {
        visit.wants = connection.shake_hands();
        if (visit.wants == Step::ended) return false;
        if (visit.wants != Step::done) return true;
    }
    return advance_head(visit);
}

bool Reception::advance_head(Visit& visit) {
    auto& connection = *visit.connection;
    for (;;) {
        switch (connection.look_for_head()) {
            case Connection::Head::whole:
                visit.whole_since = Clock::now();
                return true;
            case Connection::Head::refused:
                return turn_out(visit, connection.refusal());
            case Connection::Head::none:
            case Connection::Head::begun:
                break;
        }
        visit.wants = connection.receive();
        if (visit.wants == Step::ended) return false;
        if (visit.wants != Step::done) return true;
    }
}

/// False: closed.
bool Reception::on_deadline(Visit& visit) {
    auto& connection = *visit.connection;
    if (connection.leaving()) return false;
    if (visit.whole_since) return turn_out(visit, no_thread);
    if (!connection.ready() || connection.look_for_head() == Connection::Head::none) return false;
    return turn_out(visit, too_slow);
}

bool Reception::try_serve(Visit& visit) {
    if (hooks_.try_serve(visit.connection)) return true;
    if (!visit.urgent) visit.urgent = hooks_.is_urgent(visit.connection->head());
    return *visit.urgent && hooks_.try_serve_urgent(visit.connection);
}

void Reception::hand_over() {
    const auto whole = [](const Visit& visit) { return visit.whole_since.has_value(); };
    waiting_ = static_cast<std::size_t>(std::ranges::count_if(here_, whole));  // R4
    std::erase_if(here_, [&](Visit& visit) { return whole(visit) && try_serve(visit); });
    waiting_ = static_cast<std::size_t>(std::ranges::count_if(here_, whole));
    starved_ = waiting_ > 0;
}

}  // namespace fusebox::middleware
