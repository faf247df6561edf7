// What is wrong with destinations and routes although each of them reads well: pure functions over what was read.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/routing.hpp>

#include "config/config.hpp"

namespace fusebox::service {

/// The first route before `routes[index]` that takes every incident which this one matches, and does not continue: no
/// incident reaches `routes[index]`. None where there is none.
[[nodiscard]] std::optional<std::size_t> hidden_by(std::span<const incidents::Route> routes, std::size_t index);

/// "a → b → a" where the fallbacks that begin at `name` come back to `name`; else empty.
[[nodiscard]] std::string fallback_circle(std::span<const DestinationConfig> destinations, std::string_view name);

/// The name that occurs a second time; none where each is there once.
[[nodiscard]] std::optional<std::string> named_twice(std::span<const std::string> names);

/// The host of the URL, if it is a literal address, or a name for this machine, that the guard against private
/// addresses refuses; else empty. No name is looked up.
[[nodiscard]] std::string refused_host(std::string_view url);

}  // namespace fusebox::service
