// Reads one JSON object field by field and collects every mistake with its path.
#pragma once

#include <expected>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <fusebox/middleware/problem.hpp>

namespace fusebox::service {

using FieldErrors = std::vector<middleware::FieldError>;
/// No more mistakes than these are kept of one body: nobody reads more, and a body can hold millions.
inline constexpr std::size_t max_field_errors{20};

struct TextRule {
    std::size_t longest{};  ///< in bytes
    bool may_be_empty{true};
    bool required{false};
    bool nul_is_replaced{false};  ///< by U+FFFD; else U+0000 is a mistake
};

/// A getter reports a value of the wrong type or size, and then answers as if the field were not there. A null counts
/// as not there.
class ObjectReader {
public:
    /// `path` is what precedes the fields in messages: "", "alerts[3].".
    ObjectReader(const nlohmann::json& object, std::string path, FieldErrors& errors);

    std::optional<std::string> text(const char* field, TextRule rule);
    /// The value, or null.
    [[nodiscard]] const nlohmann::json* value(const char* field) const;
    void refuse_fields_but(std::initializer_list<std::string_view> known);
    /// Keeps the first `max_field_errors`. A long field name is cut: it comes from whoever sent the body.
    void error(std::string_view field, std::string message);
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    const nlohmann::json& object_;
    std::string path_;
    FieldErrors& errors_;
};

/// 400 for what is not JSON, naming the place.
[[nodiscard]] std::expected<nlohmann::json, middleware::Problem> parse_json(std::string_view body);
/// 422 that carries `errors`, the first of them in its detail.
[[nodiscard]] middleware::Problem field_problem(FieldErrors errors);

}  // namespace fusebox::service
