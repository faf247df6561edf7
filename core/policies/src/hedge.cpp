#include <fusebox/policies/hedge.hpp>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>

namespace fusebox {

Hedge::Hedge(Executor& executor, const HedgeConfig& config, HedgeOptions options) {
    detail::Validator validator;
    validator.within("delay", config.delay, Duration{1}, std::chrono::hours{24});
    validator.count("max_hedges", config.max_hedges, 1, 10);
    validator.finish("hedge");
    auto budget = options.budget ? *std::move(options.budget) : RetryBudget{{.ratio = 0.1}, *options.clock};
    state_ = std::make_shared<State>(&executor, config, std::move(budget), options.clock, options.sleeper);
}

HedgeMetrics Hedge::metrics() const noexcept {
    const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
    return {.hedges = read(state_->hedges),
            .hedge_wins = read(state_->hedge_wins),
            .over_budget = read(state_->over_budget),
            .no_room = read(state_->no_room)};
}

std::string Hedge::describe() const {
    return "hedge(after " + text::format_duration(state_->config.delay) + ", " +
           std::to_string(state_->config.max_hedges) + " more)";
}

}  // namespace fusebox
