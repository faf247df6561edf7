#include "sqlite/columns.hpp"

#include <nlohmann/json.hpp>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

using Json = nlohmann::json;
using Kind = incidents::StoreError::Kind;

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
