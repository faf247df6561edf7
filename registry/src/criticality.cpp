#include <fusebox/registry/criticality.hpp>

namespace fusebox {

std::string_view to_string(Criticality criticality) noexcept {
    switch (criticality) {
        case Criticality::critical:
            return "critical";
        case Criticality::degraded:
            return "degraded";
        case Criticality::optional:
            return "optional";
    }
    return "unknown";
}

std::optional<Criticality> criticality_from_string(std::string_view text) noexcept {
    for (const auto criticality : {Criticality::critical, Criticality::degraded, Criticality::optional}) {
        if (text == to_string(criticality)) return criticality;
    }
    return std::nullopt;
}

}  // namespace fusebox
