// Ready-made configurations; the numbers are the contract's §3, taken from the five source documents.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <fusebox/core/circuit_breaker_config.hpp>

namespace fusebox {

/// The configuration of a preset by the name that configuration files use: `http_api`, `llm_service`, `database`,
/// `notifications`, `cache`, `azure_service_bus`, `azure_blob_storage`, `azure_key_vault`, `reverse_proxy`,
/// `action_executor`, `standard`, `aggressive`, `lenient`. Empty for any other name.
[[nodiscard]] std::optional<CircuitBreakerConfig> preset(std::string_view name);
/// All preset names, in the order above.
[[nodiscard]] std::span<const std::string_view> preset_names() noexcept;

}  // namespace fusebox
