// Reads one TOML table field by field and collects every mistake with its line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include <fusebox/core/clock.hpp>
#include <fusebox/registry/breaker_set.hpp>

#include "config/environment.hpp"
#include "config/secret.hpp"

namespace fusebox::service {

/// What all readers of one document share: the variables that texts may name, and the mistakes found so far.
struct ReadContext {
    Environment environment;
    std::vector<ConfigMistake> mistakes{};
    std::vector<ConfigMistake> warnings{};  ///< what works now, and yet is probably not meant
};

/// Every getter remembers its key and notes a mistake where the value has a wrong type or range; after a mistake the
/// getter answers as if the key were not there. `finish` notes a mistake for each key that no getter read.
class TableReader {
public:
    /// `path` is what precedes the fields in messages: "server.", "destinations[0].".
    TableReader(const toml::table& table, std::string path, ReadContext& context);

    /// The text, in which `${NAME}` is replaced from the environment and "$${" stands for "${".
    std::optional<std::string> text(const std::string& key);
    std::optional<std::int64_t> integer(const std::string& key, std::int64_t smallest, std::int64_t largest);
    std::optional<double> number(const std::string& key, double smallest, double largest);
    std::optional<bool> boolean(const std::string& key);
    std::optional<Duration> duration(const std::string& key, Duration smallest, Duration largest);
    /// A string, or an array of strings.
    std::optional<std::vector<std::string>> texts(const std::string& key);
    /// `key`, `key`_env (the name of a variable) or `key`_file (its content, without surrounding white space); at most
    /// one. A variable that is named but not set, and a secret that is empty, are mistakes.
    std::optional<Secret> secret(const std::string& key);
    /// The content of the file `name`, as `text::read_file` has it; a mistake of `key` where it cannot be read.
    std::optional<std::string> read_file(const std::string& key, const std::string& name, std::size_t max_bytes);
    const toml::table* table(const std::string& key);
    /// The tables of an array of tables, with their readers' paths.
    std::vector<std::pair<const toml::table*, std::string>> tables(const std::string& key);
    /// Notes a mistake where the key is given: this version does not support `what`.
    void not_supported(const std::string& key, const std::string& what);
    /// Accepts the key without a look at its value: other code reads it.
    void skip(const std::string& key);

    /// Notes a mistake at the line of the key.
    void mistake(const std::string& key, std::string message);
    void warning(const std::string& key, std::string message);
    void finish();

    [[nodiscard]] const toml::table& raw() const noexcept { return table_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    [[nodiscard]] ConfigMistake at(const std::string& key, std::string message) const;
    const toml::node* find(const std::string& key);
    std::optional<std::string> expand(const std::string& key, std::string_view text);
    std::optional<std::string> text_of(const std::string& key, const toml::node& node);

    const toml::table& table_;
    std::string path_;
    ReadContext& context_;
    std::vector<std::string> known_;
};

}  // namespace fusebox::service
