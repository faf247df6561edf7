#include <algorithm>
#include <atomic>
#include <cmath>
#include <fusebox/policies/retry.hpp>

#include <fusebox/core/detail/jitter.hpp>
#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>

namespace fusebox::detail {
namespace {

const RetryConfig& checked(const RetryConfig& config) {
    constexpr Duration day = std::chrono::hours{24};
    Validator validator;
    validator.count("max_attempts", config.max_attempts, 1, 100);
    validator.within("delay", config.delay, Duration::zero(), day);
    validator.within("multiplier", config.multiplier, 1, 100);
    if (config.delay > Duration::zero() && config.delay <= day) {
        validator.check(
            config.max_delay >= config.delay && config.max_delay <= day, "max_delay",
            text::format_duration(config.max_delay),
            "at least delay (" + text::format_duration(config.delay) + ") and at most " + text::format_duration(day));
    } else {
        validator.within("max_delay", config.max_delay, Duration::zero(), day);
    }
    validator.within("jitter", config.jitter, 0, 1);
    validator.within("max_retry_after", config.max_retry_after, Duration::zero(), day);
    validator.finish("retry");
    return config;
}

}  // namespace

struct RetryPacer::State {
    State(const RetryConfig& config_in, RetryOptions options)
        : config(config_in),
          clock(options.clock),
          sleeper(options.sleeper),
          budget(options.budget ? *std::move(options.budget) : RetryBudget{{}, *options.clock}),
          jitter(options.seed) {}

    [[nodiscard]] Duration backoff(std::uint32_t attempt) noexcept {
        const auto cap = static_cast<double>(config.max_delay.count());
        const auto grown =
            std::min(cap, static_cast<double>(config.delay.count()) * std::pow(config.multiplier, attempt - 1));
        const auto spread = config.jitter > 0 ? 1 + config.jitter * (2 * jitter.next() - 1) : 1.0;
        return Duration{static_cast<Duration::rep>(std::min(cap, grown * spread))};
    }

    RetryConfig config;
    const Clock* clock;
    Sleeper* sleeper;
    RetryBudget budget;
    Jitter jitter;
    // relaxed throughout: counters that nothing depends on.
    std::atomic<std::uint64_t> retries{};
    std::atomic<std::uint64_t> exhausted{};
    std::atomic<std::uint64_t> over_budget{};
    std::atomic<std::uint64_t> out_of_time{};
};

RetryPacer::RetryPacer(const RetryConfig& config, RetryOptions options)
    : state_(std::make_shared<State>(checked(config), std::move(options))) {}

void RetryPacer::record_request() const noexcept { state_->budget.record_request(); }

bool RetryPacer::pause_after(std::uint32_t attempt, std::optional<Duration> hint, const CallContext& context) const {
    auto& state = *state_;
    const auto give_up = [](std::atomic<std::uint64_t>& reason) {
        reason.fetch_add(1, std::memory_order_relaxed);
        return false;
    };
    if (attempt >= state.config.max_attempts) return give_up(state.exhausted);
    if (hint && *hint > state.config.max_retry_after) return give_up(state.out_of_time);
    const auto pause = std::max(state.backoff(attempt), hint.value_or(Duration::zero()));
    // An attempt that would begin at the deadline is no attempt.
    const auto deadline = context.deadline();
    if (context.stop_requested() || (deadline && *deadline - state.clock->now() <= pause))
        return give_up(state.out_of_time);
    if (!state.budget.try_spend()) return give_up(state.over_budget);
    if (!state.sleeper->sleep(pause, context.stop_token())) return give_up(state.out_of_time);
    state.retries.fetch_add(1, std::memory_order_relaxed);
    return true;
}

RetryMetrics RetryPacer::metrics() const noexcept {
    const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
    return {.retries = read(state_->retries),
            .exhausted = read(state_->exhausted),
            .over_budget = read(state_->over_budget),
            .out_of_time = read(state_->out_of_time)};
}

std::string RetryPacer::describe() const {
    const auto& config = state_->config;
    auto text = "retry(" + std::to_string(config.max_attempts) + " attempts, " + text::format_duration(config.delay);
    if (config.multiplier > 1) text += " × " + text::format_number(config.multiplier);
    return text + ")";
}

}  // namespace fusebox::detail
