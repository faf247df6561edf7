#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include <fmt/format.h>

#include <fusebox/registry/registry.hpp>

namespace fusebox {
namespace {

struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};

bool is_open(State state) { return state == State::open || state == State::forced_open; }

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

}  // namespace

class Registry::Impl : public std::enable_shared_from_this<Impl> {
public:
    explicit Impl(const Clock& clock) : clock_(clock) {}

    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name,
                                                  const std::optional<CircuitBreakerConfig>& base,
                                                  Criticality criticality);
    std::shared_ptr<CircuitBreaker> get(std::string_view name) const;
    void load(const BreakerSet& set, std::string_view actor);
    bool remove(std::string_view name);
    void clear();
    Subscription subscribe(RegistryListener listener);
    Subscription subscribe_breakers(BreakerListener listener, EventMask mask);

    struct Member {
        std::uint64_t number{};  // grows with every breaker made
        Criticality criticality{};
        std::shared_ptr<CircuitBreaker> breaker;
    };
    std::vector<Member> members() const;
    Criticality criticality(std::string_view name) const;
    std::uint64_t listener_errors() const noexcept { return listener_errors_.load(); }

private:
    struct Entry {
        std::uint64_t number{};
        std::shared_ptr<CircuitBreaker> breaker;
        std::optional<CircuitBreakerConfig> base;  // what the first caller asked for
        CircuitBreakerConfig wanted;               // what base and set come to
        Criticality asked{};                       // by the first caller; the set may say otherwise
        Criticality criticality{};
        std::map<std::uint64_t, Subscription> taps;  // by the id of their tap
    };
    // One `subscribe_breakers`: attached to every breaker.
    struct Tap {
        std::shared_ptr<const BreakerListener> listener;  // shared, so that its state is one
        EventMask mask{};
    };
    using Entries = std::unordered_map<std::string, Entry, NameHash, std::equal_to<>>;
    using Listeners = std::map<std::uint64_t, std::shared_ptr<const RegistryListener>>;

    std::shared_ptr<CircuitBreaker> existing(const Entry& entry, std::string_view name,
                                             const std::optional<CircuitBreakerConfig>& base,
                                             std::shared_lock<std::shared_mutex> lock);
    static Subscription attach(const Tap& tap, CircuitBreaker& breaker);
    void publish(const RegistryEvent& event);

    const Clock& clock_;
    std::atomic<std::uint64_t> listener_errors_{};
    // Guards all below. No event is published, no breaker destroyed and no subscription ended while it is held.
    mutable std::shared_mutex mutex_;
    Entries entries_;
    BreakerSet set_;
    Listeners listeners_;
    std::map<std::uint64_t, Tap> taps_;
    std::uint64_t last_number_{};  // of breakers, listeners and taps
};

std::shared_ptr<CircuitBreaker> Registry::Impl::get(std::string_view name) const {
    const std::shared_lock lock{mutex_};
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : found->second.breaker;
}

std::shared_ptr<CircuitBreaker> Registry::Impl::get_or_create(std::string_view name,
                                                              const std::optional<CircuitBreakerConfig>& base,
                                                              Criticality criticality) {
    {
        std::shared_lock lock{mutex_};
        if (const auto found = entries_.find(name); found != entries_.end()) {
            return existing(found->second, name, base, std::move(lock));
        }
    }
    std::shared_ptr<CircuitBreaker> breaker;
    {
        const std::unique_lock lock{mutex_};
        // Made under the lock, so that a name never has two breakers and a set loaded meanwhile is not missed (R61).
        if (!entries_.contains(name)) {
            Entry entry{.number = last_number_ + 1,
                        .breaker = nullptr,
                        .base = base,
                        .wanted = set_.resolve(name, base),
                        .asked = criticality,
                        .criticality = set_.criticality(name).value_or(criticality),
                        .taps = {}};
            entry.breaker =
                std::make_shared<CircuitBreaker>(std::string{name}, entry.wanted, BreakerOptions{.clock = &clock_});
            for (const auto& [id, tap] : taps_) entry.taps.emplace(id, attach(tap, *entry.breaker));
            breaker = entry.breaker;
            entries_.emplace(name, std::move(entry));
            ++last_number_;
        }
    }
    if (!breaker) return get_or_create(name, base, criticality);  // another thread was faster
    publish(BreakerCreatedEvent{breaker});
    return breaker;
}

std::shared_ptr<CircuitBreaker> Registry::Impl::existing(const Entry& entry, std::string_view name,
                                                         const std::optional<CircuitBreakerConfig>& base,
                                                         std::shared_lock<std::shared_mutex> lock) {
    auto breaker = entry.breaker;
    if (!base) return breaker;
    const auto asked = set_.resolve(name, base);
    if (asked == entry.wanted) return breaker;
    lock.unlock();
    // Changed at run time to just what is asked for now: no conflict either.
    const auto has = breaker->config();
    if (asked != has) publish(ConfigConflictEvent{std::string{name}, differences(has, asked)});
    return breaker;
}

void Registry::Impl::load(const BreakerSet& set, std::string_view actor) {
    std::vector<std::string> changed;
    {
        const std::unique_lock lock{mutex_};
        // All is judged before anything is changed (R62).
        std::vector<ConfigError> errors;
        for (const auto& [name, entry] : entries_) {
            for (auto& error : validate(set.resolve(name, entry.base))) {
                errors.push_back({fmt::format("{}.{}", name, error.field), std::move(error.message)});
            }
        }
        if (!errors.empty()) throw InvalidConfig{std::move(errors)};
        set_ = set;
        for (auto& [name, entry] : entries_) {
            entry.criticality = set_.criticality(name).value_or(entry.asked);
            auto wanted = set_.resolve(name, entry.base);
            if (wanted == entry.wanted) continue;
            entry.wanted = wanted;
            changed.push_back(name);
        }
    }
    const auto wanted_for =
        [this](std::string_view name) -> std::pair<std::shared_ptr<CircuitBreaker>, CircuitBreakerConfig> {
        const std::shared_lock lock{mutex_};
        const auto found = entries_.find(name);
        if (found == entries_.end()) return {};
        return {found->second.breaker, found->second.wanted};
    };
    // Outside the lock, because listeners hear of it. When two threads load at once, the one that writes last looks
    // again, so that the breaker ends with what the registry wants.
    for (const auto& name : changed) {
        auto [breaker, wanted] = wanted_for(name);
        while (breaker) {
            breaker->reconfigure(wanted, actor, "configuration loaded");
            auto [again, newer] = wanted_for(name);
            if (again != breaker || newer == wanted) break;
            wanted = newer;
        }
    }
}

std::vector<Registry::Impl::Member> Registry::Impl::members() const {
    std::vector<Member> result;
    {
        const std::shared_lock lock{mutex_};
        result.reserve(entries_.size());
        for (const auto& [name, entry] : entries_) result.push_back({entry.number, entry.criticality, entry.breaker});
    }
    std::ranges::sort(result, {}, [](const Member& member) -> const std::string& { return member.breaker->name(); });
    return result;
}

Criticality Registry::Impl::criticality(std::string_view name) const {
    const std::shared_lock lock{mutex_};
    const auto found = entries_.find(name);
    return found == entries_.end() ? Criticality::degraded : found->second.criticality;
}

bool Registry::Impl::remove(std::string_view name) {
    Entries::node_type removed;
    {
        const std::unique_lock lock{mutex_};
        const auto found = entries_.find(name);
        if (found == entries_.end()) return false;
        removed = entries_.extract(found);
    }
    removed.mapped().taps.clear();
    publish(BreakerRemovedEvent{removed.key()});
    return true;
}

void Registry::Impl::clear() {
    Entries removed;
    {
        const std::unique_lock lock{mutex_};
        removed.swap(entries_);
    }
    for (auto& [name, entry] : removed) {
        entry.taps.clear();
        publish(BreakerRemovedEvent{name});
    }
}

Subscription Registry::Impl::subscribe(RegistryListener listener) {
    const std::unique_lock lock{mutex_};
    const auto id = ++last_number_;
    listeners_.emplace(id, std::make_shared<const RegistryListener>(std::move(listener)));
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            Listeners::node_type ended;  // destroyed after the lock is released: it may hold anything
            const std::unique_lock inner{self->mutex_};
            ended = self->listeners_.extract(id);
        }
    }};
}

Subscription Registry::Impl::attach(const Tap& tap, CircuitBreaker& breaker) {
    return breaker.subscribe(
        [listener = tap.listener](const CircuitBreaker& from, const BreakerEvent& event) { (*listener)(from, event); },
        tap.mask);
}

Subscription Registry::Impl::subscribe_breakers(BreakerListener listener, EventMask mask) {
    const std::unique_lock lock{mutex_};
    const auto id = ++last_number_;
    const auto& tap =
        taps_.emplace(id, Tap{std::make_shared<const BreakerListener>(std::move(listener)), mask}).first->second;
    for (auto& [name, entry] : entries_) entry.taps.emplace(id, attach(tap, *entry.breaker));
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            // Destroyed after the lock is released.
            Tap ended;
            std::vector<Subscription> subscriptions;
            const std::unique_lock inner{self->mutex_};
            if (auto node = self->taps_.extract(id)) ended = std::move(node.mapped());
            for (auto& [name, entry] : self->entries_) {
                if (auto node = entry.taps.extract(id)) subscriptions.push_back(std::move(node.mapped()));
            }
        }
    }};
}

void Registry::Impl::publish(const RegistryEvent& event) {
    std::vector<std::shared_ptr<const RegistryListener>> listeners;
    {
        const std::shared_lock lock{mutex_};
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

Registry::Registry() : Registry(Options{}) {}
Registry::Registry(Options options) : impl_(std::make_shared<Impl>(options.clock ? *options.clock : steady_clock())) {}
Registry::~Registry() = default;

std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name) {
    return impl_->get_or_create(name, std::nullopt, Criticality::degraded);
}
std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name, const CircuitBreakerConfig& config,
                                                        Criticality criticality) {
    return impl_->get_or_create(name, config, criticality);
}
std::shared_ptr<CircuitBreaker> Registry::get(std::string_view name) const { return impl_->get(name); }
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
    RegistryHealth health;
    for (const auto& member : impl_->members()) {
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
    for (const auto& member : impl_->members()) names.push_back(member.breaker->name());
    return names;
}

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all() const {
    auto members = impl_->members();
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    breakers.reserve(members.size());
    for (auto& member : members) breakers.push_back(std::move(member.breaker));
    return breakers;
}

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all_by_age() const {
    auto members = impl_->members();
    std::ranges::sort(members, {}, &Impl::Member::number);
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    breakers.reserve(members.size());
    for (auto& member : members) breakers.push_back(std::move(member.breaker));
    return breakers;
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
