// A program outside the tree: it sees fusebox only as it was installed.
#include <cstdio>
#include <cstdlib>

#include <fusebox/core/circuit_breaker.hpp>
#ifdef WITH_REGISTRY
#include <fusebox/registry/registry.hpp>
#endif
#ifdef WITH_REGISTRY_PROMETHEUS
#include <fusebox/registry/prometheus.hpp>
#endif
#ifdef WITH_TESTKIT
#include <fusebox/testkit/outcome_recorder.hpp>
#include <fusebox/testkit/scripted_dependency.hpp>
#endif

int main() {
#ifdef WITH_REGISTRY
    fusebox::Registry registry;
    auto shared = registry.get_or_create("consumer");
    fusebox::CircuitBreaker& breaker = *shared;
#else
    fusebox::CircuitBreaker breaker{"consumer"};
#endif
#ifdef WITH_TESTKIT
    fusebox::ManualClock clock;
    fusebox::testkit::ScriptedDependency<int> dependency{clock};
    dependency.follow(fusebox::testkit::FaultPlan{{}}, 7, {});
    const fusebox::testkit::OutcomeRecorder recorder{breaker};
    if (!breaker.call(dependency) || recorder.outcomes().size() != 1) return EXIT_FAILURE;
#endif
    auto permit = breaker.try_acquire();
    if (!permit) return EXIT_FAILURE;
    permit->success();
#ifdef WITH_REGISTRY_PROMETHEUS
    fusebox::Registry exposed;
    exposed.get_or_create("consumer");
    if (fusebox::prometheus_text(exposed).find("state{name=\"consumer\"} 0") == std::string::npos) return EXIT_FAILURE;
#endif
    std::puts("admitted");
}
