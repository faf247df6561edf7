#include "sqlite/columns.hpp"

#include <nlohmann/json.hpp>

#include <fusebox/text/ascii.hpp>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

using Json = nlohmann::json;
using Kind = incidents::StoreError::Kind;

namespace {

void append(std::string& out, const std::string& text) {
    if (text::is_plain_json(text)) {
        out.append(1, '"').append(text).append(1, '"');
    } else {
        out += dump(Json(text));
    }
}

}  // namespace

std::string dump(const incidents::Labels& labels) {
    std::string out{'{'};
    for (const auto& [name, value] : labels) {
        if (out.size() > 1) out += ',';
        append(out, name);
        out += ':';
        append(out, value);
    }
    return out += '}';
}

std::string dump(const std::vector<std::string>& texts) {
    std::string out{'['};
    for (const auto& text : texts) {
        if (out.size() > 1) out += ',';
        append(out, text);
    }
    return out += ']';
}

std::string dump(const Json& json) {
    try {
        return json.dump();
    } catch (const Json::type_error&) {
        throw Failure{Kind::invalid, "text that is not valid UTF-8 cannot be stored"};
    }
}

void corrupt(std::string_view row, std::string_view what) {
    throw Failure{Kind::corrupt, "the row of " + std::string{row} + " cannot be read: " + std::string{what}};
}

}  // namespace fusebox::storage::sqlite
