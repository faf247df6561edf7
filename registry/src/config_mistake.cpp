#include <fusebox/registry/config_mistake.hpp>

#include <fmt/format.h>

namespace fusebox {

std::string describe(const ConfigMistake& mistake, std::string_view file) {
    std::string text{file};
    if (mistake.line != 0) text += fmt::format(":{}", mistake.line);
    if (!mistake.field.empty()) text += fmt::format(": {}", mistake.field);
    return text + ": " + mistake.message;
}

}  // namespace fusebox
