// One call through a named breaker, for where keeping the breaker is not worth the lines.
#pragma once

#include <string_view>
#include <utility>

#include <fusebox/registry/registry.hpp>

namespace fusebox {

// Each finds the breaker of that name, makes it where there is none, and calls through it: `CircuitBreaker::call` says
// what an operation is and what comes back, `Registry::get_or_create` what `config` means (the registry's file stands
// above it) and what is thrown for a bad one or a bad name. Without a registry it is the process's own, `registry()`
// (R60). Any thread.
//
//     auto answer = fusebox::with_circuit_breaker("payments", [&] { return client.charge(card); });
//
// A hot path keeps the breaker instead: a look-up costs about as much as a call.

template <class Op>
auto with_circuit_breaker(Registry& registry, std::string_view name, Op&& op) {
    return registry.get_or_create(name)->call(std::forward<Op>(op));
}
template <class Op>
auto with_circuit_breaker(Registry& registry, std::string_view name, const CircuitBreakerConfig& config, Op&& op) {
    return registry.get_or_create(name, config)->call(std::forward<Op>(op));
}
template <class Op>
auto with_circuit_breaker(std::string_view name, Op&& op) {
    return with_circuit_breaker(registry(), name, std::forward<Op>(op));
}
template <class Op>
auto with_circuit_breaker(std::string_view name, const CircuitBreakerConfig& config, Op&& op) {
    return with_circuit_breaker(registry(), name, config, std::forward<Op>(op));
}

// Likewise with `CircuitBreaker::call_with_fallback`: `fallback(const CallError<E>&)` or `fallback()` answers where the
// breaker does not admit the call, with `FallbackOn::any_failure` also where the operation fails.
//
//     auto price = fusebox::with_circuit_breaker_and_fallback("prices", [&] { return client.price(item); },
//                                                             [&] { return last_known(item); });

template <class Op, class Fallback>
auto with_circuit_breaker_and_fallback(Registry& registry, std::string_view name, Op&& op, Fallback&& fallback,
                                       FallbackOn on = FallbackOn::rejection) {
    return registry.get_or_create(name)->call_with_fallback(std::forward<Op>(op), std::forward<Fallback>(fallback), on);
}
template <class Op, class Fallback>
auto with_circuit_breaker_and_fallback(Registry& registry, std::string_view name, const CircuitBreakerConfig& config,
                                       Op&& op, Fallback&& fallback, FallbackOn on = FallbackOn::rejection) {
    return registry.get_or_create(name, config)
        ->call_with_fallback(std::forward<Op>(op), std::forward<Fallback>(fallback), on);
}
template <class Op, class Fallback>
auto with_circuit_breaker_and_fallback(std::string_view name, Op&& op, Fallback&& fallback,
                                       FallbackOn on = FallbackOn::rejection) {
    return with_circuit_breaker_and_fallback(registry(), name, std::forward<Op>(op), std::forward<Fallback>(fallback),
                                             on);
}
template <class Op, class Fallback>
auto with_circuit_breaker_and_fallback(std::string_view name, const CircuitBreakerConfig& config, Op&& op,
                                       Fallback&& fallback, FallbackOn on = FallbackOn::rejection) {
    return with_circuit_breaker_and_fallback(registry(), name, config, std::forward<Op>(op),
                                             std::forward<Fallback>(fallback), on);
}

}  // namespace fusebox
