#include <fusebox/policies/isolate.hpp>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>

namespace fusebox {

Isolate::Isolate(Executor& executor, std::optional<Duration> limit, IsolateOptions options) {
    detail::Validator validator;
    validator.positive("limit", limit);
    validator.finish("isolate");
    state_ = std::make_shared<State>(&executor, limit, options.clock, options.sleeper);
}

IsolateMetrics Isolate::metrics() const noexcept {
    const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
    return {.left_running = read(state_->left_running),
            .timeouts = read(state_->timeouts),
            .never_began = read(state_->never_began),
            .rejected = read(state_->rejected),
            .dropped_values = read(state_->dropped_values),
            .dropped_errors = read(state_->dropped_errors)};
}

std::string Isolate::describe() const {
    return "isolate(" + (state_->limit ? text::format_duration(*state_->limit) : "until the deadline") + ")";
}

}  // namespace fusebox
