#include "registry_impl.hpp"
#include "state_saver.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace fusebox {
namespace {

bool is_open(State state) { return state == State::open || state == State::forced_open; }
bool keeps_calls_away(State state) { return is_open(state) || state == State::half_open; }

std::string differences(const CircuitBreakerConfig& has, const CircuitBreakerConfig& asked) {
    const auto left = config_fields(has);
    const auto right = config_fields(asked);
    std::string text;
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (left[i].second == right[i].second) continue;
        text += fmt::format("{}{}: has {}, asked for {}", text.empty() ? "" : "; ", left[i].first, left[i].second,
                            right[i].second);
    }
    return text;
}

constexpr Duration longest_interval = std::chrono::hours{24};

SavedBreakers load_from(StateStore& store, std::vector<RegistryEvent>& events) {
    try {
        auto loaded = store.load_all();
        if (loaded) return *std::move(loaded);
        events.emplace_back(StateLoadFailedEvent{loaded.error().message});
    } catch (const std::exception& error) {
        events.emplace_back(StateLoadFailedEvent{fmt::format("the state store threw: {}", error.what())});
    } catch (...) {
        events.emplace_back(StateLoadFailedEvent{"the state store threw"});
    }
    return {};
}

}  // namespace

std::shared_ptr<CircuitBreaker> Registry::Impl::get(std::string_view name) const {
    const Shared lock{mutex_};
    auto* const handles = handles_.of_core(lock);
    if (const auto* handle = handles ? handles->find(name) : nullptr) return *handle;
    const auto at = entries_.find(name);
    if (at == Entries::nowhere) return nullptr;
    const auto& entry = entries_.breaker(at);
    return handles ? handles->find_or_add(entry) : entry;
}

std::shared_ptr<CircuitBreaker> Registry::Impl::get_or_create(std::string_view name, const CircuitBreakerConfig* base,
                                                              Criticality criticality) {
    Events events;
    auto breaker = find_or_make(name, base, criticality, events);
    publish(events);
    return breaker;
}

std::shared_ptr<CircuitBreaker> Registry::Impl::find_or_make(std::string_view name, const CircuitBreakerConfig* base,
                                                             Criticality criticality, Events& events) {
    if (!base) {
        if (auto breaker = get(name)) return breaker;
    } else {
        const Shared lock{mutex_};
        if (const auto at = entries_.find(name); at != Entries::nowhere) {
            compare(at, base, events);
            auto* const handles = handles_.of_core(lock);
            const auto& entry = entries_.breaker(at);
            return handles ? handles->find_or_add(entry) : entry;
        }
    }
    const std::lock_guard lock{mutex_};
    // Another thread may have been faster.
    if (const auto at = entries_.find(name); at != Entries::nowhere) {
        compare(at, base, events);
        return entries_.breaker(at);
    }
    // Made under the lock, so that a name never has two breakers and a set loaded meanwhile is not missed (R61).
    // Not make_shared: with the alignment of a breaker its counts would take a cache line of their own.
    std::shared_ptr<CircuitBreaker> breaker(new CircuitBreaker(
        std::string{name}, shared(set_.resolve(name, copy_of(base))), BreakerOptions{.clock = &clock_}));
    entries_.insert(breaker->name(), breaker,
                    {.number = last_number_ + 1, .base = base ? shared_base(*base) : nullptr, .asked = criticality});
    ++last_number_;
    if (const auto node = saved_.extract(breaker->name())) {
        restore(breaker, node.mapped(), events);  // nobody listens to it yet, so nobody is called under the lock
        saver_->mark(breaker->name());
    }
    for (auto& [id, tap] : taps_) tap.attach(*breaker);
    events.emplace_back(BreakerCreatedEvent{breaker});
    return breaker;
}

void Registry::Impl::restore(const std::shared_ptr<CircuitBreaker>& breaker, const BreakerSnapshot& snapshot,
                             Events& events) {
    try {
        breaker->restore(snapshot);
    } catch (const InvalidSnapshot& error) {
        events.emplace_back(StateLoadFailedEvent{fmt::format("{}: {}", breaker->name(), error.what())});
        return;
    }
    events.emplace_back(BreakerRestoredEvent{.breaker = breaker,
                                             .restored = {.saved = snapshot.state,
                                                          .state = breaker->state(),
                                                          .time_left = breaker->metrics().retry_after,
                                                          .taken_at = snapshot.taken_at}});
}

void Registry::Impl::compare(std::size_t at, const CircuitBreakerConfig* base, Events& events) const {
    const auto& first = entries_.rest(at).base;
    if (!base || (first && *first == *base)) return;
    const auto& breaker = entries_.breaker(at);
    const auto asked = set_.resolve(breaker->name(), *base);
    if (asked == wanted(set_, at)) return;
    // Changed at run time to just what is asked for now: no conflict either.
    const auto has = breaker->config();
    if (asked != has) events.emplace_back(ConfigConflictEvent{breaker->name(), differences(has, asked)});
}

CircuitBreakerConfig Registry::Impl::wanted(const BreakerSet& set, std::size_t at) const {
    return set.resolve(entries_.name(at), copy_of(entries_.rest(at).base.get()));
}

std::shared_ptr<const CircuitBreakerConfig> Registry::Impl::shared_base(const CircuitBreakerConfig& base) {
    for (const auto& recent : recent_bases_) {
        if (recent && *recent == base) return recent;
    }
    std::ranges::rotate(recent_bases_, recent_bases_.end() - 1);
    return recent_bases_.front() = std::make_shared<const CircuitBreakerConfig>(base);
}

SharedConfig Registry::Impl::shared(const CircuitBreakerConfig& config) {
    const auto recent =
        std::ranges::find_if(recent_configs_, [&](const SharedConfig& shared) { return *shared == config; });
    if (recent != recent_configs_.end()) return *recent;
    if (recent_configs_.size() == most_recent) recent_configs_.pop_back();
    return *recent_configs_.insert(recent_configs_.begin(), SharedConfig{config});
}

void Registry::Impl::load(const BreakerSet& set, std::string_view actor) {
    std::vector<std::string> changed;
    {
        const std::lock_guard lock{mutex_};
        // All is judged before anything is changed (R62).
        std::vector<ConfigError> errors;
        entries_.for_each([&](std::size_t at) {
            const auto next = wanted(set, at);
            for (auto& error : validate(next)) {
                errors.push_back({fmt::format("{}.{}", entries_.name(at), error.field), std::move(error.message)});
            }
            if (next != wanted(set_, at)) changed.emplace_back(entries_.name(at));
        });
        if (!errors.empty()) throw InvalidConfig{std::move(errors)};
        set_ = set;
    }
    const auto wanted_for =
        [this](std::string_view name) -> std::pair<std::shared_ptr<CircuitBreaker>, CircuitBreakerConfig> {
        const Shared lock{mutex_};
        const auto at = entries_.find(name);
        if (at == Entries::nowhere) return {};
        return {entries_.breaker(at), wanted(set_, at)};
    };
    // Outside the lock, because listeners hear of it. When two threads load at once, the one that writes last looks
    // again, so that the breaker ends with what the registry wants.
    for (const auto& name : changed) {
        auto [breaker, next] = wanted_for(name);
        while (breaker) {
            breaker->reconfigure(next, actor, "configuration loaded");
            auto [again, newer] = wanted_for(name);
            if (again != breaker || newer == next) break;
            next = newer;
        }
    }
}

std::vector<Registry::Impl::Member> Registry::Impl::members() const {
    std::vector<Member> result;
    const Shared lock{mutex_};
    result.reserve(entries_.size());
    entries_.for_each([&](std::size_t at) {
        result.push_back({entries_.rest(at).number, entries_.name(at), criticality_of(at), entries_.breaker(at)});
    });
    return result;
}

Criticality Registry::Impl::criticality_of(std::size_t at) const {
    return set_.criticality(entries_.name(at)).value_or(entries_.rest(at).asked);
}

Criticality Registry::Impl::criticality(std::string_view name) const {
    const Shared lock{mutex_};
    const auto at = entries_.find(name);
    return at == Entries::nowhere ? Criticality::degraded : criticality_of(at);
}

bool Registry::Impl::remove(std::string_view name) {
    Events events;
    Removed removed;
    {
        const std::lock_guard lock{mutex_};
        const auto at = entries_.find(name);
        if (at == Entries::nowhere) {
            // It may still be kept from before the restart.
            if (saved_.erase(std::string{name}) != 0) saver_->mark(name);
            return false;
        }
        removed = take(at, events);
    }
    removed.ended.clear();
    publish(events);
    return true;
}

Registry::Impl::Removed Registry::Impl::take(std::size_t at, Events& events) {
    const bool was_in_sum = entries_.rest(at).in_sum;
    Removed removed{.breaker = entries_.extract(at), .ended = {}};
    handles_.remove(removed.breaker->name());
    if (was_in_sum) removed_from_sum_.push_back(removed.breaker);
    if (saver_) saver_->mark(removed.breaker->name());
    for (auto& [id, tap] : taps_) {
        if (auto node = tap.subscriptions.extract(removed.breaker.get())) {
            removed.ended.push_back(std::move(node.mapped()));
        }
    }
    events.emplace_back(BreakerRemovedEvent{removed.breaker->name()});
    return removed;
}

std::optional<Registry::Impl::Removed> Registry::Impl::take_unused(const std::shared_ptr<CircuitBreaker>& breaker,
                                                                   Events& events) {
    const std::lock_guard lock{mutex_};
    const auto at = entries_.find(breaker->name());
    // With the lock held nobody can come by a pointer but from one that somebody holds already.
    if (at == Entries::nowhere || entries_.breaker(at) != breaker || handles_.holders(entries_.breaker(at)) != 1)
        return std::nullopt;
    if (breaker->state() != State::closed) return std::nullopt;
    return take(at, events);
}

void Registry::Impl::clear() {
    Events events;
    std::vector<Removed> removed;
    {
        const std::lock_guard lock{mutex_};
        std::vector<std::string_view> names;
        entries_.for_each([&](std::size_t at) { names.push_back(entries_.name(at)); });
        for (const auto name : names) removed.push_back(take(entries_.find(name), events));
        // What may still be kept from before the restart goes too, as in remove().
        for (const auto& [name, snapshot] : saved_) saver_->mark(name);
        saved_.clear();
    }
    for (auto& one : removed) one.ended.clear();
    publish(events);
}

Subscription Registry::Impl::subscribe(RegistryListener listener) {
    const std::lock_guard lock{mutex_};
    const auto id = ++last_number_;
    listeners_.emplace(id, std::make_shared<const RegistryListener>(std::move(listener)));
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            Listeners::node_type ended;  // destroyed after the lock is released: it may hold anything
            const std::lock_guard inner{self->mutex_};
            ended = self->listeners_.extract(id);
        }
    }};
}

void Registry::Impl::Tap::attach(CircuitBreaker& breaker) {
    subscriptions.emplace(&breaker,
                          breaker.subscribe([shared = listener](const CircuitBreaker& from,
                                                                const BreakerEvent& event) { (*shared)(from, event); },
                                            mask));
}

Subscription Registry::Impl::subscribe_breakers(BreakerListener listener, EventMask mask) {
    const std::lock_guard lock{mutex_};
    const auto id = ++last_number_;
    auto& tap =
        taps_.emplace(id, Tap{std::make_shared<const BreakerListener>(std::move(listener)), mask, {}}).first->second;
    entries_.for_each([&](std::size_t at) { tap.attach(*entries_.breaker(at)); });
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            Taps::node_type ended;  // destroyed after the lock is released
            const std::lock_guard inner{self->mutex_};
            ended = self->taps_.extract(id);
        }
    }};
}

void Registry::Impl::publish(const Events& events) {
    if (events.empty()) return;
    std::vector<std::shared_ptr<const RegistryListener>> listeners;
    for (const auto& event : events) {
        listeners.clear();
        {
            const Shared lock{mutex_};
            for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
        }
        for (const auto& listener : listeners) {
            try {
                (*listener)(event);
            } catch (...) {
                ++listener_errors_;
            }
        }
    }
}

void Registry::Impl::keep_state(std::shared_ptr<StateStore> store, Duration interval) {
    if (interval <= Duration::zero() || interval > longest_interval) {
        throw std::invalid_argument{fmt::format("keep_state: interval is {}, must be greater than 0 and at most {}",
                                                format_duration(interval), format_duration(longest_interval))};
    }
    // The store before is written a last time before this one is read: they may be the same.
    stop_keeping();
    if (!store) return;
    Events events;
    auto loaded = load_from(*store, events);
    auto saver = std::make_shared<StateSaver>(*this, std::move(store), interval);
    saver->start();
    const auto present = install(saver, std::move(loaded));
    for (const auto& [breaker, snapshot] : present) {
        // It may trip between the look and the restoring: only what keeps calls away is restored then, so that no saved
        // state lets calls through that a trip has just stopped.
        if (snapshot && keeps_calls_away(snapshot->state) && breaker->generation() == 0) {
            restore(breaker, *snapshot, events);
        } else if (breaker->generation() != 0) {
            saver->mark(breaker->name());
        }
    }
    publish(events);
}

/// Takes over from the saver before, and gives the breakers that are there, with what was saved of them.
std::vector<std::pair<std::shared_ptr<CircuitBreaker>, std::optional<BreakerSnapshot>>> Registry::Impl::install(
    std::shared_ptr<StateSaver> saver, SavedBreakers saved) {
    std::vector<std::pair<std::shared_ptr<CircuitBreaker>, std::optional<BreakerSnapshot>>> present;
    {
        const std::lock_guard lock{mutex_};
        saver_.swap(saver);
        saved_ = std::move(saved);
        entries_.for_each([&](std::size_t at) {
            auto node = saved_.extract(entries_.breaker(at)->name());
            present.emplace_back(entries_.breaker(at), node ? std::optional{std::move(node.mapped())} : std::nullopt);
        });
    }
    if (saver) saver->stop();
    return present;
}

bool Registry::Impl::save_now() {
    std::shared_ptr<StateSaver> saver;
    {
        const Shared lock{mutex_};
        saver = saver_;
    }
    return !saver || saver->save_now();
}

Registry::Registry() : Registry(Options{}) {}
Registry::Registry(Options options) : impl_(std::make_shared<Impl>(options.clock ? *options.clock : steady_clock())) {}
Registry::~Registry() { impl_->stop_keeping(); }

std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name) {
    return impl_->get_or_create(name, nullptr, Criticality::degraded);
}
std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name, const CircuitBreakerConfig& config,
                                                        Criticality criticality) {
    return impl_->get_or_create(name, &config, criticality);
}
std::shared_ptr<CircuitBreaker> Registry::get(std::string_view name) const { return impl_->get(name); }
void Registry::keep_state(std::shared_ptr<StateStore> store, KeepStateOptions options) {
    impl_->keep_state(std::move(store), options.interval);
}
bool Registry::save_now() { return impl_->save_now(); }
void Registry::load(const BreakerSet& set, std::string_view actor) { impl_->load(set, actor); }
bool Registry::remove(std::string_view name) { return impl_->remove(name); }
void Registry::clear() { impl_->clear(); }
Criticality Registry::criticality(std::string_view name) const { return impl_->criticality(name); }
std::uint64_t Registry::listener_errors() const noexcept { return impl_->listener_errors(); }
Subscription Registry::subscribe(RegistryListener listener) { return impl_->subscribe(std::move(listener)); }
Subscription Registry::subscribe_breakers(BreakerListener listener, EventMask mask) {
    return impl_->subscribe_breakers(std::move(listener), mask);
}

RegistryHealth Registry::health_check() const {
    auto members = impl_->members();
    std::ranges::sort(members, {}, &Impl::Member::name);
    RegistryHealth health;
    for (const auto& member : members) {
        const auto& breaker = *member.breaker;
        const auto metrics = breaker.metrics();
        std::string why;
        if (metrics.state != State::closed) {
            const auto reports = breaker.reports();
            // A breaker may move on between the two look-ups; then its newest report tells about another state.
            const bool fits = !reports.empty() && reports.front().to == metrics.state;
            why = fits ? describe(reports.front()) : fmt::format("is {}", to_string(metrics.state));
        }
        ++health.total;
        if (is_open(metrics.state)) {
            ++health.open;
            health.healthy = false;
        } else if (metrics.state == State::half_open) {
            ++health.half_open;
        } else {
            ++health.closed;
        }
        health.breakers.push_back(
            {breaker.name(), metrics.state, member.criticality, std::move(why), metrics.retry_after});
    }
    return health;
}

std::vector<std::string> Registry::list_names() const {
    std::vector<std::string> names;
    for (const auto& breaker : all()) names.push_back(breaker->name());
    return names;
}

template <class Key>
std::vector<std::shared_ptr<CircuitBreaker>> Registry::Impl::sorted_breakers(Key Member::* key) const {
    auto sorted = members();
    std::ranges::sort(sorted, {}, key);
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    breakers.reserve(sorted.size());
    for (auto& member : sorted) breakers.push_back(std::move(member.breaker));
    return breakers;
}

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all() const {
    return impl_->sorted_breakers(&Impl::Member::name);
}

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all_by_age() const {
    return impl_->sorted_breakers(&Impl::Member::number);
}

std::map<std::string, CircuitBreakerMetrics> Registry::get_all_stats() const {
    std::map<std::string, CircuitBreakerMetrics> stats;
    for (const auto& breaker : all()) stats.emplace(breaker->name(), breaker->metrics());
    return stats;
}

std::map<State, std::size_t> Registry::get_state_counts() const {
    std::map<State, std::size_t> counts;
    for (const auto state :
         {State::closed, State::open, State::half_open, State::forced_open, State::disabled, State::metrics_only}) {
        counts[state] = 0;
    }
    for (const auto& breaker : all()) ++counts[breaker->state()];
    return counts;
}

bool Registry::has_open_circuits() const {
    return std::ranges::any_of(all(), [](const auto& breaker) { return is_open(breaker->state()); });
}

void Registry::reset_all(std::string_view actor, std::string_view note) {
    for (const auto& breaker : all()) breaker->reset(actor, note);
}

Registry& registry() {
    // Never destroyed: a breaker may still be asked for while static objects are.
    static auto& instance = *new Registry;
    return instance;
}

}  // namespace fusebox
