// The breakers of a registry, looked at together (R64).
#include <algorithm>

#include <fmt/format.h>

#include "registry_impl.hpp"

namespace fusebox {
namespace {

bool is_open(State state) { return state == State::open || state == State::forced_open; }

template <class Members, class Key>
std::vector<std::shared_ptr<CircuitBreaker>> breakers_by(Key key, Members members) {
    std::ranges::sort(members, {}, key);
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    breakers.reserve(members.size());
    for (auto& member : members) breakers.push_back(std::move(member.breaker));
    return breakers;
}

}  // namespace

std::vector<Registry::Impl::Member> Registry::Impl::members() const {
    std::vector<Member> result;
    const Shared lock{mutex_};
    result.reserve(table_.size());
    table_.for_each([&](std::size_t at) {
        result.push_back({table_.record(at).number, table_.name(at), criticality_at(at), table_.breaker(at)});
    });
    return result;
}

Criticality Registry::Impl::criticality_at(std::size_t at) const {
    return set_.criticality(table_.name(at)).value_or(table_.record(at).asked);
}

Criticality Registry::Impl::criticality(std::string_view name) const {
    const Shared lock{mutex_};
    const auto at = table_.find(name);
    return at == Table::nowhere ? Criticality::degraded : criticality_at(at);
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
            // The breaker may change its state between metrics() and reports(): then its newest report is about another
            // state.
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

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all() const {
    return breakers_by(&Impl::Member::name, impl_->members());
}

std::vector<std::shared_ptr<CircuitBreaker>> Registry::all_by_age() const {
    return breakers_by(&Impl::Member::number, impl_->members());
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

}  // namespace fusebox
