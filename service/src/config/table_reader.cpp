#include "config/table_reader.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

namespace fusebox::service {
namespace {

/// Edits (insert, delete, replace) that turn one word into the other.
std::size_t distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < left.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < right.size(); ++j) {
            const auto replaced = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

const char* kind_of(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "a whole number";
        case toml::node_type::floating_point:
            return "a number";
        case toml::node_type::boolean:
            return "true or false";
        default:
            return "a date or time";
    }
}

std::string trimmed(std::string text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    text.erase(text.begin(), std::ranges::find_if_not(text, is_space));
    while (!text.empty() && is_space(text.back())) text.pop_back();
    return text;
}

}  // namespace

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
    const auto best =
        std::ranges::min_element(known, {}, [&](const auto& candidate) { return distance(name, candidate); });
    if (best == known.end() || distance(name, *best) > std::max<std::size_t>(1, name.size() / 3)) return {};
    return fmt::format(" (did you mean '{}'?)", *best);
}

TableReader::TableReader(const toml::table& table, std::string path, ReadContext& context)
    : table_(table), path_(std::move(path)), context_(context) {}

void TableReader::mistake(const std::string& key, std::string message) {
    const auto* node = table_.get(key);
    const auto line = node ? node->source().begin.line : table_.source().begin.line;
    context_.mistakes.push_back({.line = line, .field = path_ + key, .message = std::move(message)});
}

const toml::node* TableReader::find(const std::string& key) {
    known_.push_back(key);
    return table_.get(key);
}

void TableReader::skip(const std::string& key) { known_.push_back(key); }

std::optional<std::string> TableReader::expand(const std::string& key, std::string_view text) {
    std::string result;
    for (;;) {
        const auto begin = text.find("${");
        result += text.substr(0, begin);
        if (begin == std::string_view::npos) return result;
        if (begin > 0 && text[begin - 1] == '$') {  // "$${" is a plain "${"
            result += '{';
            text.remove_prefix(begin + 2);
            continue;
        }
        const auto end = text.find('}', begin);
        if (end == std::string_view::npos) {
            mistake(key, "has '${' without '}'");
            return std::nullopt;
        }
        const std::string name{text.substr(begin + 2, end - begin - 2)};
        const auto value = context_.environment(name);
        if (!value) {
            mistake(key, fmt::format("the environment variable {} is not set", name));
            return std::nullopt;
        }
        result += *value;
        text.remove_prefix(end + 1);
    }
}

std::optional<std::string> TableReader::text_of(const std::string& key, const toml::node& node) {
    const auto value = node.value_exact<std::string>();
    if (!value) {
        mistake(key, fmt::format("must be a string, not {}", kind_of(node)));
        return std::nullopt;
    }
    return expand(key, *value);
}

std::optional<std::string> TableReader::text(const std::string& key) {
    const auto* node = find(key);
    return node ? text_of(key, *node) : std::nullopt;
}

std::optional<std::int64_t> TableReader::integer(const std::string& key, std::int64_t smallest, std::int64_t largest) {
    const auto* node = find(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) {
        mistake(key, fmt::format("must be a whole number, not {}", kind_of(*node)));
        return std::nullopt;
    }
    if (*value < smallest || *value > largest) {
        mistake(key, fmt::format("is {}, must be {} to {}", *value, smallest, largest));
        return std::nullopt;
    }
    return value;
}

std::optional<double> TableReader::number(const std::string& key, double smallest, double largest) {
    const auto* node = find(key);
    if (!node) return std::nullopt;
    const auto value = node->is_number() ? node->value<double>() : std::nullopt;
    if (!value) {
        mistake(key, fmt::format("must be a number, not {}", kind_of(*node)));
        return std::nullopt;
    }
    if (!(*value >= smallest && *value <= largest)) {
        mistake(key, fmt::format("is {}, must be {} to {}", *value, smallest, largest));
        return std::nullopt;
    }
    return value;
}

std::optional<bool> TableReader::boolean(const std::string& key) {
    const auto* node = find(key);
    if (!node) return std::nullopt;
    const auto value = node->value_exact<bool>();
    if (!value) mistake(key, fmt::format("must be true or false, not {}", kind_of(*node)));
    return value;
}

std::optional<Duration> TableReader::duration(const std::string& key, Duration smallest, Duration largest) {
    const auto written = text(key);
    if (!written) return std::nullopt;
    const auto value = parse_duration(*written);
    if (!value) {
        mistake(key, fmt::format("is '{}', must be a duration such as \"250ms\", \"30s\" or \"2m\"", *written));
        return std::nullopt;
    }
    if (*value < smallest || *value > largest) {
        mistake(key, fmt::format("is {}, must be {} to {}", format_duration(*value), format_duration(smallest),
                                 format_duration(largest)));
        return std::nullopt;
    }
    return value;
}

std::optional<std::vector<std::string>> TableReader::texts(const std::string& key) {
    const auto* node = find(key);
    if (!node) return std::nullopt;
    std::vector<std::string> result;
    if (const auto* array = node->as_array()) {
        for (const auto& item : *array) {
            auto value = text_of(key, item);
            if (!value) return std::nullopt;
            result.push_back(std::move(*value));
        }
        return result;
    }
    if (!node->is_string()) {
        mistake(key, fmt::format("must be a string or an array of strings, not {}", kind_of(*node)));
        return std::nullopt;
    }
    auto value = text_of(key, *node);
    if (!value) return std::nullopt;
    result.push_back(std::move(*value));
    return result;
}

std::optional<Secret> TableReader::secret(const std::string& key, bool required_variable) {
    const auto env_key = key + "_env";
    const auto file_key = key + "_file";
    const auto literal = text(key);
    const auto variable = text(env_key);
    const auto file = text(file_key);
    if (literal.has_value() + variable.has_value() + file.has_value() > 1) {
        mistake(variable ? env_key : file_key, fmt::format("only one of {0}, {0}_env and {0}_file may be given", key));
        return std::nullopt;
    }
    if (literal) return Secret{*literal};
    if (variable) {
        auto value = context_.environment(*variable);
        if (!value && required_variable) {
            mistake(env_key, fmt::format("the environment variable {} is not set", *variable));
            return std::nullopt;
        }
        return Secret{trimmed(value.value_or(""))};
    }
    if (file) {
        std::ifstream in{*file, std::ios::binary};
        std::string content{std::istreambuf_iterator<char>{in}, {}};
        if (!in && !in.eof()) {
            mistake(file_key, fmt::format("cannot read {}", *file));
            return std::nullopt;
        }
        content = trimmed(std::move(content));
        if (content.empty()) {
            mistake(file_key, fmt::format("{} is empty or cannot be read", *file));
            return std::nullopt;
        }
        return Secret{std::move(content)};
    }
    return std::nullopt;
}

const toml::table* TableReader::table(const std::string& key) {
    const auto* node = find(key);
    if (!node) return nullptr;
    if (!node->is_table()) mistake(key, fmt::format("must be a table, not {}", kind_of(*node)));
    return node->as_table();
}

std::vector<std::pair<const toml::table*, std::string>> TableReader::tables(const std::string& key) {
    const auto* node = find(key);
    if (!node) return {};
    const auto* array = node->as_array();
    if (!array) {
        mistake(key, fmt::format("must be an array of tables ([[{}]]), not {}", key, kind_of(*node)));
        return {};
    }
    std::vector<std::pair<const toml::table*, std::string>> result;
    for (std::size_t i = 0; i < array->size(); ++i) {
        if (const auto* item = (*array)[i].as_table()) {
            result.emplace_back(item, fmt::format("{}{}[{}].", path_, key, i));
        } else {
            mistake(key, fmt::format("entry {} must be a table, not {}", i, kind_of((*array)[i])));
        }
    }
    return result;
}

void TableReader::not_supported(const std::string& key, const std::string& what) {
    if (find(key)) mistake(key, what + " is not supported in this version");
}

void TableReader::finish() {
    for (const auto& [key, node] : table_) {
        const std::string name{key.str()};
        if (std::ranges::find(known_, name) != known_.end()) continue;
        const auto guess = did_you_mean(name, known_);
        mistake(name, "is not a known key" +
                          (guess.empty() ? fmt::format("; known are {}", fmt::join(known_, ", ")) : guess));
    }
}

}  // namespace fusebox::service
