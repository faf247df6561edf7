#include "api/object_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <fusebox/text/utf8.hpp>

#include "api/quick_json.hpp"

namespace fusebox::service {
namespace {

std::string without_nul(std::string_view text) {
    std::string out;
    for (const char c : text) c == '\0' ? out.append("\uFFFD") : out.append(1, c);
    return out;
}

}  // namespace

ObjectReader::ObjectReader(const nlohmann::json& object, std::string path, FieldErrors& errors)
    : object_(object), path_(std::move(path)), errors_(errors) {}

void ObjectReader::error(std::string_view field, std::string message) {
    constexpr std::size_t longest = 128;
    if (errors_.size() >= max_field_errors) return;
    auto name = path_ + std::string{text::cut(field, longest)};
    if (field.size() > longest) name += "…";
    errors_.push_back({std::move(name), std::move(message)});
}

const nlohmann::json* ObjectReader::value(const char* field) const {
    const auto found = object_.find(field);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> ObjectReader::text(const char* field, TextRule rule) {
    const auto* json = value(field);
    if (!json) {
        if (rule.required) error(field, "is needed");
        return std::nullopt;
    }
    if (!json->is_string()) {
        error(field, fmt::format("must be a string, not {}", json->type_name()));
        return std::nullopt;
    }
    const auto& text = json->get_ref<const std::string&>();
    if (text.empty() && !rule.may_be_empty) {
        error(field, "must not be empty");
        return std::nullopt;
    }
    if (text.size() > rule.longest) {
        error(field, fmt::format("is {} bytes, must be at most {}", text.size(), rule.longest));
        return std::nullopt;
    }
    if (text.find('\0') != std::string::npos) {
        if (rule.nul_is_replaced) return without_nul(text);
        error(field, "must not hold the character U+0000");
        return std::nullopt;
    }
    return text;
}

void ObjectReader::refuse_fields_but(std::initializer_list<std::string_view> known) {
    for (const auto& [field, json] : object_.items()) {
        if (errors_.size() >= max_field_errors) return;
        if (std::ranges::find(known, field) == known.end()) {
            error(field, fmt::format("is not a known field; known are {}", fmt::join(known, ", ")));
        }
    }
}

std::expected<nlohmann::json, middleware::Problem> parse_json(std::string_view body) {
    if (auto quick = parse_quickly(body)) return *std::move(quick);
    try {
        return nlohmann::json::parse(body);
    } catch (const nlohmann::json::exception& exception) {
        // The text of the exception begins with "[json.exception.parse_error.101] ".
        std::string_view what = exception.what();
        if (const auto bracket = what.find("] "); bracket != std::string_view::npos) what.remove_prefix(bracket + 2);
        constexpr std::size_t longest = 200;
        return std::unexpected(middleware::Problem{
            .status = 400, .detail = "the body is not JSON: " + std::string{what.substr(0, longest)}});
    }
}

middleware::Problem field_problem(FieldErrors errors) {
    const auto& first = errors.front();
    auto detail = first.field.empty() ? "the body " + first.message : first.field + " " + first.message;
    if (errors.size() > 1) {
        detail +=
            fmt::format(" (and {} more{})", errors.size() - 1, errors.size() < max_field_errors ? "" : ", or others");
    }
    return {.status = 422, .detail = std::move(detail), .errors = std::move(errors)};
}

}  // namespace fusebox::service
