// A response as bytes for the wire.
#pragma once

#include <chrono>
#include <string>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

struct ResponseForm {
    std::chrono::sys_seconds now{};             ///< for `Date`
    bool head_only{};                           ///< the answer to HEAD
    bool http_1_0{};                            ///< of the request
    bool gzip{};                                ///< the peer takes it
    bool keep_alive{};                          ///< the connection stays open
    std::chrono::seconds keep_alive_timeout{};  ///< what the peer is told with `keep_alive`
};

/// Text and JSON of 1 KiB and more is compressed where the peer takes it. A header whose name or value has an end of
/// line is left out, so that no value becomes a header or a second response.
[[nodiscard]] std::string response_text(const Response& response, const ResponseForm& form);

}  // namespace fusebox::middleware
