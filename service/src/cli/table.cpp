#include "cli/table.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include <fusebox/text/duration.hpp>
#include <fusebox/text/printable.hpp>

namespace fusebox::service::cli {
namespace {

/// The width in characters, not in bytes.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_padded(std::string& line, std::string_view text, std::string_view shown, std::size_t columns, bool last) {
    line += shown;
    if (!last) line.append(columns - width(text) + 2, ' ');
}

}  // namespace

std::string Table::format(bool colours) const {
    std::vector<std::size_t> widths;
    widths.reserve(headings_.size());
    for (const auto& heading : headings_) widths.push_back(width(heading));
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width(text::printable(row[i].text)));
    }
    std::string lines;
    for (std::size_t i = 0; i < headings_.size(); ++i) {
        append_padded(lines, headings_[i], headings_[i], widths[i], i + 1 == headings_.size());
    }
    lines += '\n';
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const auto plain = text::printable(row[i].text);
            append_padded(lines, plain, paint(plain, row[i].colour, colours), widths[i], i + 1 == row.size());
        }
        lines += '\n';
    }
    return lines;
}

std::string paint(std::string_view text, Colour colour, bool colours) {
    const char* code = colour == Colour::red ? "31" : colour == Colour::yellow ? "33" : "32";
    if (!colours || colour == Colour::none) return std::string{text};
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

Colour colour_of_state(std::string_view state) noexcept {
    if (state == "open" || state == "forced_open" || state == "fail" || state == "dead") return Colour::red;
    if (state == "closed" || state == "pass" || state == "delivered") return Colour::green;
    return Colour::yellow;
}

std::string for_people(double seconds) {
    constexpr double most = 9e9;  // a Duration holds a little more, whatever the server says
    const std::chrono::duration<double> time{std::clamp(seconds, -most, most)};
    return text::format_rounded_duration(std::chrono::round<std::chrono::nanoseconds>(time));
}

}  // namespace fusebox::service::cli
