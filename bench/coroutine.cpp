// The breaker around an operation that is awaited.
#include <coroutine>
#include <exception>
#include <expected>
#include <optional>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/policies/coroutine.hpp>

#include "rows.hpp"

namespace fusebox::bench {
namespace {

// The least that can be awaited: begins when it is, and goes on with whoever awaits it when it ends.
template <class T>
class Task {
public:
    class promise_type {
    public:
        Task get_return_object() noexcept { return Task{Handle::from_promise(*this)}; }
        static std::suspend_always initial_suspend() noexcept { return {}; }
        static auto final_suspend() noexcept {
            struct GoOn {
                static bool await_ready() noexcept { return false; }
                static std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
                    return ended.promise().awaiting_;
                }
                static void await_resume() noexcept {}
            };
            return GoOn{};
        }
        void return_value(T value) { value_.emplace(std::move(value)); }
        static void unhandled_exception() noexcept { std::terminate(); }  // nothing here throws

    private:
        friend Task;
        std::coroutine_handle<> awaiting_ = std::noop_coroutine();
        std::optional<T> value_;
    };

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    ~Task() {
        if (handle_) handle_.destroy();
    }

    static bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        handle_.promise().awaiting_ = awaiting;
        return handle_;
    }
    T await_resume() { return *std::move(handle_.promise().value_); }

    /// Runs it to its end: nothing in it waits for anything.
    T run() {
        handle_.resume();
        return await_resume();
    }

private:
    using Handle = std::coroutine_handle<promise_type>;
    explicit Task(Handle handle) noexcept : handle_(handle) {}
    Handle handle_;
};

struct Failure {
    int code;
};
Task<std::expected<int, Failure>> succeed() { co_return 1; }

struct Nothing {};

}  // namespace

void add_coroutine_rows() {
    add_rows("coroutine/bare", std::make_unique<Nothing>,
             [](Nothing&, std::size_t) { benchmark::DoNotOptimize(succeed().run()); });
    add_rows(
        "coroutine/call", [] { return std::make_unique<CircuitBreaker>("payments"); },
        [](CircuitBreaker& breaker, std::size_t) {
            benchmark::DoNotOptimize(co_call(breaker, [] { return succeed(); }).run());
        });
}

}  // namespace fusebox::bench
