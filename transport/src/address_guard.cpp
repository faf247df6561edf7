#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <fusebox/transport/address_guard.hpp>

namespace fusebox::transport {

namespace {

struct V4Range {
    std::uint32_t first;
    int bits;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
    return a << 24U | b << 16U | c << 8U | d;
}

/// What the IANA special-purpose registry says is not globally reachable, and one public address that is not the
/// public's: Azure's host, which answers every virtual machine with its credentials.
constexpr std::array not_public{
    V4Range{v4(0, 0, 0, 0), 8},         // this network, and "unspecified"
    V4Range{v4(10, 0, 0, 0), 8},        // private
    V4Range{v4(100, 64, 0, 0), 10},     // carrier-grade NAT
    V4Range{v4(127, 0, 0, 0), 8},       // loopback
    V4Range{v4(168, 63, 129, 16), 32},  // Azure's host
    V4Range{v4(169, 254, 0, 0), 16},    // link-local, and the clouds' metadata service
    V4Range{v4(172, 16, 0, 0), 12},     // private
    V4Range{v4(192, 0, 0, 0), 24},      // protocol assignments
    V4Range{v4(192, 0, 2, 0), 24},      // documentation
    V4Range{v4(192, 88, 99, 0), 24},    // 6to4 relays
    V4Range{v4(192, 168, 0, 0), 16},    // private
    V4Range{v4(198, 18, 0, 0), 15},     // benchmarks
    V4Range{v4(198, 51, 100, 0), 24},   // documentation
    V4Range{v4(203, 0, 113, 0), 24},    // documentation
    V4Range{v4(224, 0, 0, 0), 4},       // multicast
    V4Range{v4(240, 0, 0, 0), 4},       // reserved, and broadcast
};

bool is_public_v4(std::uint32_t address) noexcept {
    return std::ranges::none_of(not_public, [address](const V4Range& range) {
        return ((address ^ range.first) >> static_cast<unsigned>(32 - range.bits)) == 0;
    });
}

bool is_public_v6(std::span<const std::uint8_t, 16> address) noexcept {
    const auto starts_with = [&](std::initializer_list<std::uint8_t> prefix) {
        return std::ranges::equal(prefix, address.first(prefix.size()));
    };
    const auto embedded_v4 = [&](std::size_t at) {
        return v4(address[at], address[at + 1], address[at + 2], address[at + 3]);
    };
    // NAT64 leads to the IPv4 address in its last four bytes.
    if (starts_with({0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return is_public_v4(embedded_v4(12));
    // All else that is public is global unicast, 2000::/3. This leaves out loopback, unspecified, mapped and compatible
    // IPv4, local NAT64, unique local, link-local, site-local and multicast.
    if ((address[0] & 0xe0U) != 0x20U) return false;
    if (starts_with({0x20, 0x02})) return is_public_v4(embedded_v4(2));        // 6to4
    if (starts_with({0x20, 0x01}) && address[2] < 0x02) return false;          // Teredo, ORCHID, benchmarks
    if (starts_with({0x20, 0x01, 0x0d, 0xb8})) return false;                   // documentation
    if (starts_with({0x3f, 0xff}) && (address[2] & 0xf0U) == 0) return false;  // documentation
    return true;
}

}  // namespace

bool is_public_address(std::string_view address) noexcept {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.size() >= text.size()) return false;
    std::ranges::copy(address, text.begin());
    if (std::strlen(text.data()) != address.size()) return false;

    in_addr four{};
    if (inet_pton(AF_INET, text.data(), &four) == 1) return is_public_v4(ntohl(four.s_addr));
    in6_addr six{};
    if (inet_pton(AF_INET6, text.data(), &six) == 1) return is_public_v6(six.s6_addr);
    return false;
}

}  // namespace fusebox::transport
