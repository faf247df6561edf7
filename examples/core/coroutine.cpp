// Coroutines of standalone asio behind a breaker: a hung call is cut off by a timer, and then nobody calls any more.
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <fusebox/policies/coroutine.hpp>
#include <fusebox/text/duration.hpp>
#include <iostream>
#include <string>

#include "asio_runtime.hpp"

using namespace std::chrono_literals;

// The dependency: answers at once, or never.
bool warehouse_hangs = false;

asio::awaitable<int> count(std::string item) {
    std::cout << "  the warehouse counts " << item << '\n';
    if (warehouse_hangs) {
        asio::steady_timer never{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
        co_await never.async_wait(asio::use_awaitable);
    }
    co_return 12;
}

asio::awaitable<void> ask(fusebox::CircuitBreaker& breaker, std::string item) {
    const auto stock = co_await fusebox::co_call(breaker, [&] { return count(item); }, AsioRuntime{});
    if (stock) {
        std::cout << item << ": " << *stock << '\n';
    } else if (stock.error().is_circuit_protection()) {
        std::cout << item << ": not asked\n";
    } else {
        std::cout << item << ": no answer within "
                  << fusebox::text::format_duration(*breaker.config().operation_timeout) << '\n';
    }
}

asio::awaitable<void> shop(fusebox::CircuitBreaker& breaker) {
    co_await ask(breaker, "fuses");
    warehouse_hangs = true;
    co_await ask(breaker, "wires");
    co_await ask(breaker, "bulbs");
    co_await ask(breaker, "plugs");
    std::cout << "state: " << fusebox::to_string(breaker.state()) << '\n';
}

int main() {
    fusebox::CircuitBreakerConfig config;
    config.operation_timeout = 20ms;           // the timer that each call is raced against
    config.consecutive_failure_threshold = 2;  // two failures or timeouts in a row open the circuit
    fusebox::CircuitBreaker breaker{"warehouse", config};

    asio::io_context io;
    asio::co_spawn(io, shop(breaker), asio::detached);
    io.run();
}
