// The scan knows of TOML only what hides dots and brackets: comments and the four kinds of strings. Up to the first
// thing that is not TOML it reads these as a parser does, and no parser makes tables of what comes after.
#include <fusebox/registry/toml_depth.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace fusebox {
namespace {

class Scan {
public:
    explicit Scan(std::string_view text) : text_(text) {}

    std::optional<ConfigMistake> run() {
        while (at_ < text_.size()) {
            switch (const char c = text_[at_]; c) {
                case '#':
                    at_ = std::min(text_.find('\n', at_), text_.size());
                    continue;
                case '"':
                case '\'':
                    skip_string(c);
                    continue;
                case '\n':
                    ++line_;
                    dots_ = 0;
                    break;
                case '=':
                case ',':
                    dots_ = 0;
                    break;
                case '[':
                case '{':
                    dots_ = 0;
                    if (++brackets_ > most_toml_levels) return mistake("brackets within brackets");
                    break;
                case ']':
                case '}':
                    dots_ = 0;
                    if (brackets_ > 0) --brackets_;
                    break;
                case '.':
                    if (++dots_ >= most_toml_levels) return mistake("parts of a dotted name");
                    break;
                default:
                    break;
            }
            ++at_;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] ConfigMistake mistake(std::string_view what) const {
        return {line_, "", fmt::format("has more than {} {}", most_toml_levels, what)};
    }

    void skip_string(char quote) {
        const std::string_view rest = text_.substr(at_);
        const char triple[]{quote, quote, quote};
        const bool many_lines = rest.starts_with(std::string_view{triple, 3});
        at_ += many_lines ? 3 : 1;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '\\' && quote == '"') {
                ++at_;
                if (at_ < text_.size() && text_[at_] == '\n') ++line_;
            } else if (c == '\n') {
                if (!many_lines) return;  // not TOML: the string has no end
                ++line_;
            } else if (c == quote && !many_lines) {
                ++at_;
                return;
            } else if (many_lines && text_.substr(at_).starts_with(std::string_view{triple, 3})) {
                at_ += 3;
                // One or two quotes directly before the closing three belong to the string.
                for (int more = 0; more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
                return;
            }
        }
    }

    std::string_view text_;
    std::size_t at_{};
    std::size_t line_{1};
    std::size_t dots_{};      // since what last ended a name
    std::size_t brackets_{};  // open now
};

}  // namespace

std::optional<ConfigMistake> find_too_deep(std::string_view toml_text) { return Scan{toml_text}.run(); }

}  // namespace fusebox
