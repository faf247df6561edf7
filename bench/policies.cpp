// The breaker among other policies.
#include <chrono>
#include <expected>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/bulkhead.hpp>
#include <fusebox/policies/fallback.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/retry.hpp>
#include <fusebox/policies/timeout.hpp>

#include "rows.hpp"

namespace fusebox::bench {
namespace {

struct Failure {
    int code;
};
std::expected<int, Failure> succeed() { return 1; }

auto five_policies() {
    return Pipeline{fallback_value(0), Retry{}, BreakerPolicy{std::make_shared<CircuitBreaker>("payments")}, Bulkhead{},
                    Timeout{std::chrono::seconds{2}}};
}
auto retry_and_breaker() { return Pipeline{Retry{}, BreakerPolicy{std::make_shared<CircuitBreaker>("payments")}}; }

template <class Make>
void add_pipeline_rows(const char* name, Make make) {
    using Policies = decltype(make());
    add_rows(
        name, [make] { return std::make_unique<Policies>(make()); },
        [](Policies& policies, std::size_t) { benchmark::DoNotOptimize(policies.call([] { return succeed(); })); });
}

}  // namespace

void add_policy_rows() {
    add_pipeline_rows("pipeline/five", five_policies);
    add_pipeline_rows("pipeline/retry", retry_and_breaker);
}

}  // namespace fusebox::bench
