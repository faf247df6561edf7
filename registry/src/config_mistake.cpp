#include <fusebox/registry/config_mistake.hpp>

#include <fmt/format.h>

#include <fusebox/text/printable.hpp>

namespace fusebox {

std::string describe(const ConfigMistake& mistake, std::string_view file) {
    auto words = text::printable(file);
    if (mistake.line != 0) words += fmt::format(":{}", mistake.line);
    if (!mistake.field.empty()) words += ": " + text::printable(mistake.field);
    return words + ": " + text::printable(mistake.message);
}

}  // namespace fusebox
