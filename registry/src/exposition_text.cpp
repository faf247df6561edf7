#include "exposition_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include <fmt/compile.h>

#include "utf8.hpp"

namespace fusebox::detail {
namespace {

/// `quotes`: of a label's value they are escaped, of a help text not.
void append_escaped(std::string& to, std::string_view text, bool quotes) {
    for (const char c : text) {
        if (c == '\n') {
            to += "\\n";
        } else {
            if (c == '\\' || (c == '"' && quotes)) to += '\\';
            to += c;
        }
    }
}

}  // namespace

void ExpositionText::start(std::string_view prefix, std::string_view name, std::string_view help,
                           std::string_view type) {
    family_.assign(prefix).append(name);
    if (!help.empty()) {
        text_.append("# HELP ").append(family_) += ' ';
        append_escaped(text_, help, false);
        text_ += '\n';
    }
    text_.append("# TYPE ").append(family_).append(" ").append(type) += '\n';
}

void ExpositionText::sample(const SeriesName& series, std::uint64_t value) {
    char digits[20];
    write(series, {digits, std::to_chars(std::begin(digits), std::end(digits), value).ptr});
}

void ExpositionText::sample(const SeriesName& series, double value) {
    if (std::isnan(value)) {
        write(series, "NaN");
    } else if (std::isinf(value)) {
        write(series, value > 0 ? "+Inf" : "-Inf");
    } else {
        char digits[32];  // at most 17 of them, a sign, a point, an exponent
        write(series, {digits, fmt::format_to(digits, FMT_COMPILE("{}"), value)});
    }
}

void ExpositionText::write(const SeriesName& series, std::string_view value) {
    text_.append(family_).append(series.suffix);
    if (!series.labels.empty()) text_.append("{").append(series.labels).append(series.more).append("}");
    text_.append(" ").append(value) += '\n';
}

void add_label(std::string& labels, std::string_view name, std::string_view value) {
    if (!labels.empty()) labels += ',';
    labels.append(name).append("=\"");
    append_escaped(labels, value, true);
    labels += '"';
}

std::string readable(std::string_view text) {
    if (is_utf8(text)) return std::string{text};
    std::string result;
    while (!text.empty()) {
        const auto length = code_point_length(text);
        if (length != 0) {
            result += text.substr(0, length);
        } else {
            fmt::format_to(std::back_inserter(result), FMT_COMPILE("\\x{:02x}"), static_cast<unsigned char>(text[0]));
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

}  // namespace fusebox::detail
