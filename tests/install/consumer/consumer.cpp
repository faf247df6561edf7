// A program outside the tree: it sees fusebox only as it was installed.
#include <cstdio>
#include <cstdlib>

#include <fusebox/core/circuit_breaker.hpp>
#ifdef WITH_REGISTRY
#include <fusebox/registry/registry.hpp>
#endif

int main() {
#ifdef WITH_REGISTRY
    fusebox::Registry registry;
    auto shared = registry.get_or_create("consumer");
    fusebox::CircuitBreaker& breaker = *shared;
#else
    fusebox::CircuitBreaker breaker{"consumer"};
#endif
    auto permit = breaker.try_acquire();
    if (!permit) return EXIT_FAILURE;
    permit->success();
    std::puts("admitted");
}
