// One breaker per name: found, or made (R61).
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "registry_impl.hpp"
#include "state_saver.hpp"

namespace fusebox {
namespace {

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

/// The one of `recent` that is equal to `config`. Where there is none, what `make` gives becomes the newest, and the
/// oldest of many goes.
template <class Pointer, class Make>
Pointer find_or_add(std::vector<Pointer>& recent, const CircuitBreakerConfig& config, Make make) {
    constexpr std::size_t most = 8;
    const auto equal = std::ranges::find_if(recent, [&](const Pointer& one) { return *one == config; });
    if (equal != recent.end()) return *equal;
    auto made = make(config);
    if (recent.size() == most) recent.pop_back();
    return *recent.insert(recent.begin(), std::move(made));
}

}  // namespace

std::shared_ptr<CircuitBreaker> Registry::Impl::get(std::string_view name) const {
    const Shared lock{mutex_};
    const auto* found = table_.look_up(name, lock);
    return found ? *found : nullptr;
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
        if (const auto at = table_.find(name); at != Table::nowhere) {
            compare(at, base, events);
            return table_.handle(at, lock);
        }
    }
    const std::lock_guard lock{mutex_};
    // Another thread may have made the breaker before this one had the lock.
    if (const auto at = table_.find(name); at != Table::nowhere) {
        compare(at, base, events);
        return table_.breaker(at);
    }
    // Made under the lock, so that a name never has two breakers and a set loaded meanwhile is not missed (R61).
    // Not make_shared: with the alignment of a breaker its counts would take a cache line of their own.
    const auto asked = base ? std::optional{*base} : std::nullopt;
    std::shared_ptr<CircuitBreaker> breaker(new CircuitBreaker(
        std::string{name}, shared_config(set_.resolve(name, asked)), BreakerOptions{.clock = &clock_}));
    table_.insert(breaker->name(), breaker,
                  {.number = last_number_ + 1, .base = base ? shared_base(*base) : nullptr, .asked = criticality});
    ++last_number_;
    if (const auto node = saved_.extract(breaker->name())) {
        restore(breaker, node.mapped(), events);  // nobody listens to it yet, so nobody is called under the lock
        saver_->mark(breaker->name());
    }
    for (auto& [id, listener] : shared_listeners_) listener.attach(*breaker);
    events.emplace_back(BreakerCreatedEvent{breaker});
    return breaker;
}

void Registry::Impl::compare(std::size_t at, const CircuitBreakerConfig* base, Events& events) const {
    const auto& first = table_.record(at).base;
    if (!base || (first && *first == *base)) return;
    const auto& breaker = table_.breaker(at);
    const auto asked = set_.resolve(breaker->name(), *base);
    if (asked == wanted(set_, at)) return;
    // Changed at run time to just what is asked for now: no conflict either.
    const auto has = breaker->config();
    if (asked != has) events.emplace_back(ConfigConflictEvent{breaker->name(), differences(has, asked)});
}

std::shared_ptr<const CircuitBreakerConfig> Registry::Impl::shared_base(const CircuitBreakerConfig& base) {
    return find_or_add(recent_bases_, base, [](const CircuitBreakerConfig& config) {
        return std::make_shared<const CircuitBreakerConfig>(config);
    });
}

SharedConfig Registry::Impl::shared_config(const CircuitBreakerConfig& config) {
    return find_or_add(recent_configs_, config, [](const CircuitBreakerConfig& one) { return SharedConfig{one}; });
}

}  // namespace fusebox
