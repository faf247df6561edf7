// Which network addresses may be connected to: the guard against server-side request forgery.
#pragma once

#include <string_view>

namespace fusebox::transport {

struct AddressPolicy {
    /// Off: private, loopback, link-local, metadata, multicast, unspecified and mapped addresses are refused. The guard
    /// judges the address that is really connected, so that no DNS answer can evade it.
    bool allow_private{true};
};

/// True if `address` (numeric IPv4 or IPv6) is reachable from the public internet.
[[nodiscard]] bool is_public_address(std::string_view address) noexcept;

}  // namespace fusebox::transport
