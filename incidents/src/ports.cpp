#include <fusebox/incidents/ports.hpp>

#include <utility>

namespace fusebox::incidents {

std::string_view to_string(StoreError::Kind kind) noexcept {
    switch (kind) {
        case StoreError::Kind::unavailable:
            return "unavailable";
        case StoreError::Kind::timeout:
            return "timeout";
        case StoreError::Kind::conflict:
            return "conflict";
        case StoreError::Kind::not_found:
            return "not_found";
        case StoreError::Kind::invalid:
            return "invalid";
        case StoreError::Kind::corrupt:
            return "corrupt";
        case StoreError::Kind::rejected:
            return "rejected";
    }
    std::unreachable();
}

}  // namespace fusebox::incidents
