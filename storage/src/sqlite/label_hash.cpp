#include "sqlite/label_hash.hpp"

#include <bit>

namespace fusebox::storage::sqlite {

namespace {

/// FNV-1a, 64 bits.
std::uint64_t mix(std::uint64_t hash, std::string_view text) noexcept {
    for (const char byte : text) {
        hash ^= static_cast<unsigned char>(byte);
        hash *= 0x100000001b3;
    }
    return hash;
}

}  // namespace

std::int64_t label_hash(std::string_view name, std::string_view value) noexcept {
    constexpr std::string_view separator{"\xff"};  // in no UTF-8 text
    return std::bit_cast<std::int64_t>(mix(mix(mix(0xcbf29ce484222325, name), separator), value));
}

}  // namespace fusebox::storage::sqlite
