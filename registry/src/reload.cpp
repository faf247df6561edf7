// A new set of configurations, taken over by the breakers that are there (R62).
#include <string>
#include <utility>

#include <fmt/format.h>

#include "registry_impl.hpp"

namespace fusebox {

CircuitBreakerConfig Registry::Impl::wanted(const BreakerSet& set, std::size_t at) const {
    const auto& base = table_.record(at).base;
    return set.resolve(table_.name(at), base ? std::optional{*base} : std::nullopt);
}

void Registry::Impl::load(const BreakerSet& set, std::string_view actor) {
    std::vector<std::string> changed;
    {
        const std::lock_guard lock{mutex_};
        // All is judged before anything is changed (R62).
        std::vector<ConfigError> errors;
        table_.for_each([&](std::size_t at) {
            const auto next = wanted(set, at);
            for (auto& error : validate(next)) {
                errors.push_back({fmt::format("{}.{}", table_.name(at), error.field), std::move(error.message)});
            }
            if (next != wanted(set_, at)) changed.emplace_back(table_.name(at));
        });
        if (!errors.empty()) throw InvalidConfig{std::move(errors)};
        set_ = set;
    }
    const auto wanted_for =
        [this](std::string_view name) -> std::pair<std::shared_ptr<CircuitBreaker>, CircuitBreakerConfig> {
        const Shared lock{mutex_};
        const auto at = table_.find(name);
        if (at == Table::nowhere) return {};
        return {table_.breaker(at), wanted(set_, at)};
    };
    // Without the lock, because reconfigure calls listeners. Two threads may load at once, and one of them may
    // reconfigure a breaker by the older set after the other has done so by the newer one. So each looks at the set
    // again after it has reconfigured: the last to write finds the newer set, and the breaker ends with that.
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

}  // namespace fusebox
