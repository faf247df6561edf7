// From a TOML text to a configuration, or to everything that is wrong with it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/environment.hpp"

namespace fusebox::service {

/// "127.0.0.1:8080", "[::1]:8080", "localhost:0"; none for anything else.
[[nodiscard]] std::optional<ListenAddress> parse_listen_address(std::string_view text);

/// Whether to try that the store can be written. A running service has its store, and another machine does not see it.
enum class StoreCheck : std::uint8_t { no, yes };

/// All mistakes at once, by line (of very many the first 100). `listen` (from the command line) stands before the
/// file's. Whether tokens may be left out is judged by `running`, the address that a running service listens on; by the
/// address of the configuration where nothing runs. An empty text is a good configuration.
[[nodiscard]] std::expected<ServiceConfig, std::vector<ConfigMistake>> load_config(
    std::string_view toml_text, const Environment& environment, const std::optional<ListenAddress>& listen = {},
    const std::optional<ListenAddress>& running = {}, StoreCheck check = StoreCheck::no);

/// The same for a file of at most 1 MiB; a file that cannot be read is a mistake at line 0.
[[nodiscard]] std::expected<ServiceConfig, std::vector<ConfigMistake>> load_config_file(
    const std::string& path, const Environment& environment, const std::optional<ListenAddress>& listen = {},
    const std::optional<ListenAddress>& running = {}, StoreCheck check = StoreCheck::no);

}  // namespace fusebox::service
