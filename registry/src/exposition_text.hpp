// Metric families as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace fusebox::detail {

/// Writes families in Prometheus' text format 0.0.4, one after the other.
class ExpositionText {
public:
    /// `size`: bytes to expect. More fit too, but are copied whenever the text outgrows its memory.
    explicit ExpositionText(std::size_t size) { text_.reserve(size); }

    /// The samples that follow belong to the family `prefix` + `name`.
    void start(std::string_view prefix, std::string_view name, std::string_view help, std::string_view type);

    struct SeriesName {
        std::string_view suffix{};  ///< of the family's name
        std::string_view labels{};  ///< as `add_label` writes them; empty: none
        std::string_view more{};    ///< of the same kind: a comma, then labels. Only where there are `labels`
    };
    void sample(const SeriesName& series, std::uint64_t value);
    void sample(const SeriesName& series, double value);

    [[nodiscard]] std::string take() && { return std::move(text_); }

private:
    void write(const SeriesName& series, std::string_view value);

    std::string text_;
    std::string family_;
};

/// Appends `name="value"` to `labels`, after a comma where there are some. `value` is UTF-8, see `readable`.
void add_label(std::string& labels, std::string_view name, std::string_view value);

/// A scrape with one byte that is not UTF-8 is refused as a whole, so such bytes are spelled out: `\xff`.
[[nodiscard]] std::string readable(std::string_view text);

}  // namespace fusebox::detail
