// Bearer tokens: who may write.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <fusebox/middleware/http.hpp>
#include <fusebox/middleware/router.hpp>

namespace fusebox::middleware {

/// Whether both are equal, in a time that depends on the lengths only.
[[nodiscard]] bool constant_time_equal(std::string_view left, std::string_view right) noexcept;

/// True if `text` can be sent as a bearer token (RFC 6750: letters, digits and -._~+/=) and is not empty.
[[nodiscard]] bool is_bearer_token(std::string_view text) noexcept;

/// True if the request's `Authorization` header carries `token`; never for an empty token.
[[nodiscard]] bool carries_token(const Request& request, std::string_view token) noexcept;

/// 401 with WWW-Authenticate where the token is missing or wrong. An empty `token` refuses everybody with 403, saying
/// `how_to_enable`.
[[nodiscard]] Guard require_token(std::string token, std::string how_to_enable);

/// True if the peer is this machine and no header speaks of a proxy in between (Forwarded, X-Forwarded-For).
[[nodiscard]] bool is_local_caller(const Request& request) noexcept;

}  // namespace fusebox::middleware
