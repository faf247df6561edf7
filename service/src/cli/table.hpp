// Tables for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fusebox::service::cli {

enum class Colour { none, green, yellow, red };

struct Cell {
    std::string text;
    Colour colour{Colour::none};
};

/// Columns as wide as their widest cell, two spaces between; a line of headings, then one line per row. Cells are shown
/// as `text::printable` has them, since an alert's title may hold anything.
class Table {
public:
    explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
    [[nodiscard]] std::string format(bool colours) const;

private:
    std::vector<std::string> headings_;
    std::vector<std::vector<Cell>> rows_;
};

[[nodiscard]] std::string paint(std::string_view text, Colour colour, bool colours);
/// Red where calls are refused, yellow where the breaker is not in its normal state.
[[nodiscard]] Colour colour_of_state(std::string_view state) noexcept;
/// "30ms", "12.5s", "2m5s", "3h10m": as `text::format_rounded_duration`.
[[nodiscard]] std::string for_people(double seconds);

}  // namespace fusebox::service::cli
