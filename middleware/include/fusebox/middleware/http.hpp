// A request and a response as handlers see them, free of any server library's types.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fusebox::middleware {

using NameValues = std::vector<std::pair<std::string, std::string>>;

/// What a handler is given. Texts from the URL are percent-decoded and valid UTF-8; the body is as it came.
struct Request {
    std::string method{};          ///< upper case; HEAD is handed to handlers as GET
    std::string path{};            ///< as sent, without the query
    NameValues path_parameters{};  ///< by the names of the route's pattern
    NameValues query{};            ///< in the order sent, repeats included
    NameValues headers{};
    std::string body{};
    std::string remote_address{};  ///< numeric

    /// A parameter of the route's pattern; empty if the pattern has none of this name.
    [[nodiscard]] std::string_view path_parameter(std::string_view name) const noexcept;
    /// First value of a parameter of the query; empty when absent.
    [[nodiscard]] std::string_view query_parameter(std::string_view name) const noexcept;
    /// First value of a header, by name without case; empty when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct Response {
    int status{200};
    std::string content_type{};
    std::string body{};
    NameValues headers{};
};

/// An `application/json` response.
[[nodiscard]] Response json_response(std::string body, int status = 200);

}  // namespace fusebox::middleware
