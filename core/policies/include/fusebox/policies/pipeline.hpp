// Several policies as one, outermost first.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fusebox/policies/policy.hpp>

namespace fusebox {

namespace detail {

/// The call through the policies from number `Index` on. `Policies` points to their tuple.
template <std::size_t Index, class Policies, class Next>
class Chain {
public:
    Chain(Policies policies, Next next) : policies_(std::move(policies)), next_(std::move(next)) {}

    auto operator()(const CallContext& context) const {
        using Tuple = typename std::pointer_traits<Policies>::element_type;
        if constexpr (Index == std::tuple_size_v<std::remove_const_t<Tuple>>) {
            return next_(context);
        } else {
            return std::get<Index>(*policies_).execute(context, Chain<Index + 1, Policies, Next>{policies_, next_});
        }
    }

private:
    Policies policies_;
    Next next_;
};

/// Calls what somebody else owns.
template <class Next>
class NextRef {
public:
    explicit NextRef(Next& next) noexcept : next_(&next) {}
    auto operator()(const CallContext& context) const { return (*next_)(context); }

private:
    Next* next_;
};

}  // namespace detail

/// Policies in a stated order: the first is the outermost, the operation is innermost (docs/policies.md says which
/// order is right and why). A policy itself, so pipelines nest. Building one allocates; a call through it does not,
/// unless a policy detaches calls.
///
/// A handle: copies share the policies. Thread contract: any thread at any time.
///
///     fusebox::Pipeline guarded{fusebox::Retry{}, fusebox::BreakerPolicy{breaker}, fusebox::Timeout{2s}};
///     auto answer = guarded.call([&](const fusebox::CallContext& context) { return client.charge(card, context); });
template <Policy... Policies>
class Pipeline {
public:
    static constexpr bool detaches_calls = (false || ... || fusebox::detaches_calls<Policies>);

    explicit Pipeline(Policies... policies)
        : policies_(std::make_shared<const std::tuple<Policies...>>(std::move(policies)...)) {}

    /// Calls `op` through every policy: `std::expected<T, CallError<E>>`. See `call_with`.
    template <class Op>
    auto call(Op&& op, const CallContext& context = {}) const {
        return call_with(*this, std::forward<Op>(op), context);
    }

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        if constexpr (detaches_calls) {
            using Owned = std::decay_t<Next>;
            return detail::Chain<0, std::shared_ptr<const Tuple>, Owned>{policies_, std::forward<Next>(next)}(context);
        } else {
            using Ref = detail::NextRef<std::remove_reference_t<Next>>;
            return detail::Chain<0, const Tuple*, Ref>{policies_.get(), Ref{next}}(context);
        }
    }

    /// The order, outermost first: "retry(3 attempts, 100ms × 2) > breaker(payments) > timeout(2s)".
    [[nodiscard]] std::string describe() const {
        std::string text;
        std::apply(
            [&](const auto&... policy) { ((text.append(text.empty() ? "" : " > ").append(policy.describe())), ...); },
            *policies_);
        return text;
    }

private:
    using Tuple = std::tuple<Policies...>;
    std::shared_ptr<const Tuple> policies_;
};

}  // namespace fusebox
