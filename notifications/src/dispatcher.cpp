#include <fusebox/notifications/dispatcher.hpp>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "destination_check.hpp"
#include "lane.hpp"

namespace fusebox::notifications {

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
    std::mutex changing;       // held by update and stop, which run one at a time; taken before mutex
    mutable std::mutex mutex;  // guards everything below
    bool stopped{};
    std::mt19937_64 random;
    std::map<std::string, std::shared_ptr<Lane>, std::less<>> lanes;
    std::vector<std::shared_ptr<Lane>> retired;  // replaced or removed lanes whose last sends may be under way
    std::map<std::string, std::shared_ptr<DestinationCounters>, std::less<>> counters;
    const LaneSurroundings surroundings;
};

Dispatcher::Dispatcher(incidents::Outbox& outbox, std::vector<DestinationSettings> destinations,
                       DispatcherOptions options) {
    std::string errors;
    if (!options.clock) errors += "clock: must be set; ";
    if (options.poll <= Duration::zero()) errors += "poll: must be more than 0; ";
    if (options.lease_margin <= Duration::zero()) errors += "lease_margin: must be more than 0; ";
    require_valid(destinations, std::move(errors));
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
    require_valid(destinations);
    const std::lock_guard one_at_a_time(impl_->changing);
    // Both are declared before the lock is taken: the lanes that go with them are joined without the lock, which the
    // threads of a lane take.
    std::map<std::string, std::shared_ptr<Lane>, std::less<>> lanes;
    std::vector<std::shared_ptr<Lane>> finished;
    {
        const std::lock_guard lock(impl_->mutex);
        if (impl_->stopped) return;
        auto counters = impl_->counters;
        for (DestinationSettings& settings : destinations) {
            auto& lane = lanes[settings.name];
            const auto old = impl_->lanes.find(settings.name);
            if (old != impl_->lanes.end() && old->second->settings() == settings) {
                lane = old->second;
                continue;
            }
            // The new lane takes over the gate: a time that the destination named holds beyond a reload.
            const RateGate gate = old != impl_->lanes.end() ? old->second->gate() : RateGate{{}, *impl_->options.clock};
            auto& own = counters[settings.name];
            if (!own) own = std::make_shared<DestinationCounters>();
            lane = std::make_shared<Lane>(std::move(settings), impl_->surroundings, own, gate, impl_->random());
            lane->start();
        }
        const auto most_retired = impl_->retired.size() + impl_->lanes.size();
        impl_->retired.reserve(most_retired);
        finished.reserve(most_retired);
        // Nothing below throws.
        impl_->lanes.swap(lanes);
        impl_->counters.swap(counters);
        for (const auto& [name, lane] : lanes) {
            const auto now = impl_->lanes.find(name);
            if (now != impl_->lanes.end() && now->second == lane) continue;
            lane->retire();
            impl_->retired.push_back(lane);
        }
        const auto done = std::ranges::partition(impl_->retired, [](const auto& lane) { return !lane->finished(); });
        finished.assign(done.begin(), done.end());
        impl_->retired.erase(done.begin(), done.end());
    }
    for (const auto& lane : finished) lane->join();
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
    // Every lane is joined before its last reference goes: no thread of a lane may be the one that destroys the lane.
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
