// Ready-made configurations; the numbers are those of docs/breaker-contract.md §3 but where it says otherwise below.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <fusebox/core/circuit_breaker_config.hpp>

namespace fusebox {

/// The configuration of a preset by the name that configuration files use: `http_api`, `llm_service`, `database`,
/// `notifications`, `cache`, `azure_service_bus`, `azure_blob_storage`, `azure_key_vault`, `reverse_proxy`,
/// `action_executor`, `standard`, `aggressive`, `lenient`. Empty for any other name: take it with `value()`, which
/// throws then, unless the name is known to be good.
///
///     fusebox::CircuitBreaker users{"users", fusebox::preset("http_api").value()};
///
/// `standard` is the defaults. `aggressive` trips early and comes back carefully: after 3 failures in a row or a
/// quarter of at least 5 calls in 30 s, for 60 s that double with every failed recovery, one probe at a time, closed by
/// 5 good ones. `lenient` trips late and comes back at the first good sign: after 20 failures in a row or four fifths
/// of at least 50 calls in 2 min, for 10 s, 10 probes at once, closed by 1 good one. These two are our own choice.
[[nodiscard]] std::optional<CircuitBreakerConfig> preset(std::string_view name);
/// All preset names, in the order above.
[[nodiscard]] std::span<const std::string_view> preset_names() noexcept;

}  // namespace fusebox
