// One request, from its head to the end of its response.
#pragma once

#include <functional>

#include <fusebox/middleware/http_server.hpp>
#include <fusebox/middleware/router.hpp>

#include "connection.hpp"
#include "memory_budget.hpp"
#include "stopping.hpp"

namespace fusebox::middleware {

/// What every exchange works with. Outlives them all, and is only read but for `memory`.
struct Serving {
    const Router& router;
    const HttpServerOptions& options;
    MemoryBudget& memory;
    const Stopping& stopping;
    /// Whether others wait for a thread, or have found no memory.
    std::function<bool()> others_wait;
};

/// What becomes of the connection.
enum class After {
    keep,   ///< another request may come
    close,  ///< both sides have said all
    leave,  ///< the peer may still be sending what nobody will read: Connection::leave
};

/// Answers the request whose head `connection` has. What can be said without the body is said before the body is read:
/// whether there is a route, then what its guard says, then the declared length. `last`: closes behind the response.
After exchange(const Serving& serving, Connection& connection, bool last);

/// Answers what never became a request, without waiting: sends nothing where the connection cannot take it now.
void refuse(const Serving& serving, Connection& connection, const Refusal& refusal);

}  // namespace fusebox::middleware
