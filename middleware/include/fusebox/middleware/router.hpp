// Which handler answers which method and path.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

using Handler = std::function<Response(const Request&)>;
/// Refuses a request before the body is read: the response to give, or nothing.
using Guard = std::function<std::optional<Response>(const Request&)>;

struct Route {
    std::string method{};  ///< upper case; HEAD is answered by the route of GET
    /// "/v1/incidents/{id}/notes": a {name} is one whole segment, which may hold an encoded slash.
    std::string pattern{};
    Handler handler{};  ///< from several threads at once; an exception that it throws is answered with 500
    Guard guard{};      ///< none: open to everybody
    /// More is 413; none: HttpServerOptions::max_body_bytes, which is the most in any case.
    std::optional<std::size_t> max_body_bytes{};
    /// HttpServer answers it even while all its threads are taken. For what is quick and watches over the service.
    bool always_answered{};
};

/// `Route::max_body_bytes` of what people and their scripts send: a reason, a note, an actor.
inline constexpr std::size_t operator_body_bytes = 32U << 10U;

/// Filled once, then only read: `find` may be called from any thread.
class Router {
public:
    /// Literal segments win over {name} where both match. Throws `std::invalid_argument` for a route that could never
    /// be found or run: a pattern that does not begin with a slash or has a brace outside of a {name}, a name given
    /// twice, a method that is not in upper case or is HEAD, no handler, a route of the same method and paths as one
    /// that is there. The route may be completed until the next one is added.
    Route& add(std::string method, std::string pattern, Handler handler, Guard guard = {});

    /// Calls `change` with each route, in the order added, before the router is used: to set guards by a table, say.
    /// The method and the pattern must stay as they are.
    void for_each(const std::function<void(Route&)>& change);

    /// The route for `request.method` and `target` (path and query as sent); fills the request's path, parameters and
    /// query. Else the response to give: 400 for bad encoding, 404, 405 with Allow; OPTIONS is answered with 204 and
    /// Allow.
    [[nodiscard]] std::expected<const Route*, Response> find(Request& request, std::string_view target) const;

private:
    struct Entry {
        std::vector<std::string> segments;
        Route route;
    };
    std::vector<Entry> entries_;
};

}  // namespace fusebox::middleware
