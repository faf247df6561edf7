// What `fusebox::co_call` needs to race an asio::awaitable against a timer. Copy it into your project.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <utility>

#include <fusebox/policies/coroutine.hpp>

/// For standalone asio 1.22 or newer (with Clang an old asio needs ASIO_HAS_CO_AWAIT=1). The race ends when both have
/// ended: where the timer is first asio cancels the call, and an operation that does not listen to that is waited for
/// all the same. Where several threads run the io_context, spawn the coroutine on a strand
/// (`asio::co_spawn(asio::make_strand(io), …)`): asio does not let call and timer cancel each other from two threads.
struct AsioRuntime {
    template <class T>
    asio::awaitable<fusebox::RaceResult<T>> race(asio::awaitable<T> call, fusebox::Duration time) const {
        namespace ax = asio::experimental;
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor, time};
        // Not `||` of awaitable_operators: that drops the value of a call which ends while it is being cancelled.
        auto group = ax::make_parallel_group(asio::co_spawn(executor, std::move(call), ax::deferred),
                                             timer.async_wait(ax::deferred));
        // In two steps: newer GCCs do not destroy what is bound to names directly from a co_await.
        auto ended = co_await group.async_wait(ax::wait_for_one(), asio::use_awaitable);
        auto& [order, thrown, result, timer_error] = ended;
        const bool timer_was_first = order[0] == 1 && !timer_error;
        if (!thrown) co_return fusebox::RaceResult<T>{std::move(result), timer_was_first};
        // The call never throws: asio cancelled it before it had begun.
        if (!timer_was_first) std::rethrow_exception(thrown);
        co_return fusebox::RaceResult<T>{};
    }

    /// Whether the coroutine that asks was cancelled: its error then says nothing about the dependency.
    static asio::awaitable<bool> cancelled() {
        const auto state = co_await asio::this_coro::cancellation_state;
        co_return state.cancelled() != asio::cancellation_type::none;
    }
};
