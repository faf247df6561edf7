// The port for whatever executes actions on events, and its decorator with policies.
#pragma once

#include <expected>
#include <memory>
#include <type_traits>
#include <utility>

#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/policy.hpp>

namespace fusebox {

/// Executes an action in answer to an event. Implementations must be safe to call from any thread.
///
/// An implementation gives its own errors as `OperationFailed<Error>`; the other cases of `CallError` come from the
/// decorators around it.
template <class Event, class Action, class Result, class Error = std::exception_ptr>
class ActionExecutor {
public:
    using Port = ActionExecutor;
    using Answer = std::expected<Result, CallError<Error>>;

    ActionExecutor() = default;
    ActionExecutor(const ActionExecutor&) = delete;
    ActionExecutor& operator=(const ActionExecutor&) = delete;
    virtual ~ActionExecutor() = default;

    [[nodiscard]] virtual Answer execute(const Event& event, const Action& action, const CallContext& context) = 0;
    [[nodiscard]] Answer execute(const Event& event, const Action& action) {
        return execute(event, action, CallContext{});
    }
};

/// An `ActionExecutor` around another one, with a policy or a pipeline between. As safe to call as the executor inside.
///
///     const fusebox::Pipeline pipeline{fusebox::Retry{}, fusebox::BreakerPolicy{breaker}};
///     auto guarded = fusebox::with_policy(executor, pipeline);
///     auto result = guarded->execute(event, action);
template <Policy P, class Event, class Action, class Result, class Error>
class ProtectedActionExecutor final : public ActionExecutor<Event, Action, Result, Error> {
public:
    using Port = ActionExecutor<Event, Action, Result, Error>;
    using Port::execute;
    using typename Port::Answer;

    ProtectedActionExecutor(std::shared_ptr<Port> inner, P policy)
        : inner_(std::move(inner)), policy_(std::move(policy)) {}

    [[nodiscard]] Answer execute(const Event& event, const Action& action, const CallContext& context) override {
        if constexpr (detaches_calls<P>) {
            // An attempt may outlive this call: it takes its own copies along.
            return call_with(
                policy_,
                [inner = inner_, event, action](const CallContext& c) { return inner->execute(event, action, c); },
                context);
        } else {
            return call_with(policy_, [&](const CallContext& c) { return inner_->execute(event, action, c); }, context);
        }
    }

private:
    std::shared_ptr<Port> inner_;
    P policy_;
};

/// The decorator with a breaker alone.
template <class Event, class Action, class Result, class Error = std::exception_ptr>
using CircuitBreakerActionExecutor = ProtectedActionExecutor<BreakerPolicy, Event, Action, Result, Error>;

namespace detail {
template <Policy P, class Event, class Action, class Result, class Error>
auto protect(std::shared_ptr<ActionExecutor<Event, Action, Result, Error>> inner, P policy)
    -> std::shared_ptr<ActionExecutor<Event, Action, Result, Error>> {
    return std::make_shared<ProtectedActionExecutor<P, Event, Action, Result, Error>>(std::move(inner),
                                                                                      std::move(policy));
}
}  // namespace detail

/// Decorates `inner`, an implementation of the port, and gives the port.
template <Policy P, class Inner>
[[nodiscard]] std::shared_ptr<typename Inner::Port> with_policy(std::shared_ptr<Inner> inner, P policy) {
    return detail::protect(std::shared_ptr<typename Inner::Port>{std::move(inner)}, std::move(policy));
}

}  // namespace fusebox
