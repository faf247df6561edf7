#include "config/table_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <fusebox/text/ascii.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/file.hpp>
#include <fusebox/text/suggestion.hpp>

namespace fusebox::service {
namespace {

constexpr std::size_t max_secret_bytes{64U << 10U};

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

}  // namespace

TableReader::TableReader(const toml::table& table, std::string path, ReadContext& context)
    : table_(table), path_(std::move(path)), context_(context) {}

ConfigMistake TableReader::at(const std::string& key, std::string message) const {
    const auto* node = table_.get(key);
    const auto line = node ? node->source().begin.line : table_.source().begin.line;
    return {.line = line, .field = path_ + key, .message = std::move(message)};
}

void TableReader::mistake(const std::string& key, std::string message) {
    context_.mistakes.push_back(at(key, std::move(message)));
}

void TableReader::warning(const std::string& key, std::string message) {
    context_.warnings.push_back(at(key, std::move(message)));
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
    const auto value = text::parse_duration(*written);
    if (!value) {
        mistake(key, fmt::format("is '{}', must be a duration such as \"250ms\", \"30s\" or \"2m\"", *written));
        return std::nullopt;
    }
    if (*value < smallest || *value > largest) {
        mistake(key, fmt::format("is {}, must be {} to {}", text::format_duration(*value),
                                 text::format_duration(smallest), text::format_duration(largest)));
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

std::optional<Secret> TableReader::secret(const std::string& key) {
    const auto env_key = key + "_env";
    const auto file_key = key + "_file";
    const auto literal = text(key);
    const auto variable = text(env_key);
    const auto file = text(file_key);
    if (literal.has_value() + variable.has_value() + file.has_value() > 1) {
        mistake(variable ? env_key : file_key, fmt::format("only one of {0}, {0}_env and {0}_file may be given", key));
        return std::nullopt;
    }
    if (literal) {
        if (!literal->empty()) return Secret{*literal};
        mistake(key, "must not be empty");
        return std::nullopt;
    }
    if (variable) {
        const auto value = context_.environment(*variable);
        const auto secret = text::trimmed(value ? std::string_view{*value} : std::string_view{});
        if (!secret.empty()) return Secret{std::string{secret}};
        mistake(env_key, fmt::format("the environment variable {} is {}", *variable, value ? "empty" : "not set"));
        return std::nullopt;
    }
    if (file) {
        const auto content = read_file(file_key, *file, max_secret_bytes);
        if (!content) return std::nullopt;
        const auto secret = text::trimmed(*content);
        if (secret.empty()) {
            mistake(file_key, fmt::format("{} is empty", *file));
            return std::nullopt;
        }
        return Secret{std::string{secret}};
    }
    return std::nullopt;
}

std::optional<std::string> TableReader::read_file(const std::string& key, const std::string& name,
                                                  std::size_t max_bytes) {
    auto content = text::read_file(name, max_bytes);
    if (content) return *std::move(content);
    mistake(key, fmt::format("{} {}", name, content.error().message));
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
        const auto guess = text::did_you_mean(name, {known_.begin(), known_.end()});
        mistake(name, "is not a known key" +
                          (guess.empty() ? fmt::format("; known are {}", fmt::join(known_, ", ")) : guess));
    }
}

}  // namespace fusebox::service
