#include "api/quick_json.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <simdjson.h>
#include <nlohmann/json.hpp>

namespace fusebox::service {
namespace {

using nlohmann::json;
using simdjson::dom::element;
using simdjson::dom::element_type;

/// check_json_body bounds how deep this goes.
json tree(element value) {  // NOLINT(misc-no-recursion)
    switch (value.type()) {
        case element_type::OBJECT: {
            auto object = json::object();
            for (const auto [name, member] : simdjson::dom::object{value}) object[std::string{name}] = tree(member);
            return object;
        }
        case element_type::ARRAY: {
            auto array = json::array();
            for (const auto member : simdjson::dom::array{value}) array.push_back(tree(member));
            return array;
        }
        case element_type::STRING:
            return json(std::string_view{value});
        case element_type::INT64: {
            const std::int64_t number{value};
            return number < 0 ? json(number) : json(static_cast<std::uint64_t>(number));
        }
        case element_type::UINT64:
            return json(std::uint64_t{value});
        case element_type::DOUBLE:
            return json(double{value});
        case element_type::BOOL:
            return json(bool{value});
        case element_type::NULL_VALUE:
            return json(nullptr);
    }
    std::unreachable();
}

}  // namespace

std::optional<nlohmann::json> parse_quickly(std::string_view text) {
    if (text.size() > longest_quick_json) return std::nullopt;
    // Not kept for the next text: every thread would hold memory for the longest that it has seen.
    simdjson::dom::parser parser;
    element whole;
    if (parser.parse(text.data(), text.size()).get(whole) != simdjson::SUCCESS) return std::nullopt;
    return tree(whole);
}

}  // namespace fusebox::service
