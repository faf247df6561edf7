#include <fusebox/notifications/dispatcher.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

#include "lane.hpp"

namespace fusebox::notifications {

namespace {

constexpr std::size_t most_in_flight = 64;

void require_good(const std::vector<DestinationSettings>& destinations) {
    std::string errors;
    std::set<std::string_view> names;
    for (const DestinationSettings& settings : destinations) names.insert(settings.name);
    if (names.size() != destinations.size()) errors += "destination names must be unique; ";
    for (const DestinationSettings& settings : destinations) {
        const auto require = [&](bool good, std::string_view message) {
            if (!good) errors.append("destination '" + settings.name + "': ").append(message).append("; ");
        };
        require(!settings.name.empty(), "name: must not be empty");
        require(settings.sender != nullptr, "sender: must be set");
        require(settings.max_in_flight >= 1 && settings.max_in_flight <= most_in_flight,
                "max_in_flight: must be 1 to 64");
        require(settings.rate_limit.per > Duration::zero(), "rate_limit: its period must be more than 0");
        require(settings.rate_limit.permits <= 1'000'000, "rate_limit: must be at most 1000000 permits");
        require(settings.fallback.empty() || names.contains(settings.fallback),
                "fallback: there is no such destination");
        require(settings.fallback.empty() || settings.fallback != settings.name,
                "fallback: must be another destination");
        require(settings.fallback_after >= Duration::zero(), "fallback_after: must not be negative");
        require(settings.send_timeout > Duration::zero(), "send_timeout: must be more than 0");
        require(settings.retry.base > Duration::zero(), "retry.base: must be more than 0");
        require(settings.retry.factor >= 1 && settings.retry.factor <= 10, "retry.factor: must be 1 to 10");
        require(settings.retry.cap >= settings.retry.base, "retry.cap: must be at least retry.base");
        require(settings.retry.max_age > Duration::zero(), "retry.max_age: must be more than 0");
    }
    if (!errors.empty()) throw std::invalid_argument(errors.substr(0, errors.size() - 2));
}

}  // namespace

std::string_view to_string(DeliveryEvent::Kind kind) noexcept {
    switch (kind) {
        case DeliveryEvent::Kind::delivered:
            return "delivered";
        case DeliveryEvent::Kind::retry:
            return "retry";
        case DeliveryEvent::Kind::deferred:
            return "deferred";
        case DeliveryEvent::Kind::dead:
            return "dead";
        case DeliveryEvent::Kind::fallback:
            return "fallback";
        case DeliveryEvent::Kind::destination_disabled:
            return "destination_disabled";
        case DeliveryEvent::Kind::store_failing:
            return "store_failing";
        case DeliveryEvent::Kind::store_recovered:
            return "store_recovered";
    }
    return "unknown";
}

struct Dispatcher::Impl {
    Impl(incidents::Outbox& outbox, DispatcherOptions given)
        : options(std::move(given)),
          random(options.seed ? *options.seed : std::random_device{}()),
          surroundings{outbox, options, [this](std::string_view destination) { notify(destination); }} {}

    void notify(std::string_view destination) {
        if (const auto lane = find(destination)) lane->wake();
    }
    std::shared_ptr<Lane> find(std::string_view destination) const {
        const std::lock_guard lock(mutex);
        const auto found = lanes.find(destination);
        return found == lanes.end() ? nullptr : found->second;
    }

    const DispatcherOptions options;
    std::mutex changing;       // update and stop, one at a time; taken before mutex
    mutable std::mutex mutex;  // guards everything below
    bool stopped{};
    std::mt19937_64 random;
    std::map<std::string, std::shared_ptr<Lane>, std::less<>> lanes;
    std::vector<std::shared_ptr<Lane>> retired;  // replaced or removed; their last sends may be under way
    std::map<std::string, std::shared_ptr<DestinationCounters>, std::less<>> counters;
    const LaneSurroundings surroundings;
};

Dispatcher::Dispatcher(incidents::Outbox& outbox, std::vector<DestinationSettings> destinations,
                       DispatcherOptions options) {
    if (options.poll <= Duration::zero()) throw std::invalid_argument("poll: must be more than 0");
    if (options.lease_margin <= Duration::zero()) throw std::invalid_argument("lease_margin: must be more than 0");
    require_good(destinations);
    impl_ = std::make_unique<Impl>(outbox, std::move(options));
    update(std::move(destinations));
}

Dispatcher::~Dispatcher() { stop(Duration::zero()); }

void Dispatcher::notify(std::string_view destination) { impl_->notify(destination); }

void Dispatcher::notify_all() {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, lane] : impl_->lanes) lane->wake();
}

void Dispatcher::update(std::vector<DestinationSettings> destinations) {
    require_good(destinations);
    const std::lock_guard one_at_a_time(impl_->changing);
    std::vector<std::shared_ptr<Lane>> reaped;
    {
        const std::lock_guard lock(impl_->mutex);
        if (impl_->stopped) return;
        std::map<std::string, std::shared_ptr<Lane>, std::less<>> lanes;
        for (DestinationSettings& settings : destinations) {
            const auto old = impl_->lanes.find(settings.name);
            if (old != impl_->lanes.end() && old->second->settings() == settings) {
                lanes.insert(impl_->lanes.extract(old));
                continue;
            }
            // A time that the destination named holds beyond a reload.
            const RateGate gate = old != impl_->lanes.end() ? old->second->gate() : RateGate{{}, *impl_->options.clock};
            auto& counters = impl_->counters[settings.name];
            if (!counters) counters = std::make_shared<DestinationCounters>();
            const std::string name = settings.name;
            lanes.emplace(name, std::make_shared<Lane>(std::move(settings), impl_->surroundings, counters, gate,
                                                       impl_->random()));
        }
        for (auto& [name, lane] : impl_->lanes) {
            lane->retire();
            impl_->retired.push_back(std::move(lane));
        }
        impl_->lanes = std::move(lanes);
        const auto done = std::ranges::partition(impl_->retired, [](const auto& lane) { return !lane->finished(); });
        reaped.assign(done.begin(), done.end());
        impl_->retired.erase(done.begin(), done.end());
    }
    for (const auto& lane : reaped) lane->join();
}

void Dispatcher::stop(Duration grace) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    const std::lock_guard one_at_a_time(impl_->changing);
    std::vector<std::shared_ptr<Lane>> lanes;
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopped = true;
        lanes = std::move(impl_->retired);
        impl_->retired.clear();
        for (auto& [name, lane] : impl_->lanes) lanes.push_back(std::move(lane));
        impl_->lanes.clear();
    }
    for (const auto& lane : lanes) lane->retire();
    for (const auto& lane : lanes) lane->wait_finished(deadline);
    for (const auto& lane : lanes) lane->cancel();
    // Joined before they are let go, so that no thread of a lane can be the one that destroys it.
    for (const auto& lane : lanes) lane->join();
}

std::optional<incidents::WallTime> Dispatcher::not_before(std::string_view destination) const {
    const auto lane = impl_->find(destination);
    return lane ? lane->not_before() : std::nullopt;
}

std::map<std::string, DestinationStats> Dispatcher::stats() const {
    std::map<std::string, DestinationStats> stats;
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, counters] : impl_->counters) stats[name] = counters->read();
    for (const auto& [name, lane] : impl_->lanes) {
        stats[name].in_flight = lane->in_flight();
        stats[name].disabled = lane->disabled();
    }
    for (const auto& lane : impl_->retired) stats[lane->settings().name].in_flight += lane->in_flight();
    return stats;
}

}  // namespace fusebox::notifications
