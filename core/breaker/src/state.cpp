#include <array>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>

namespace fusebox {
namespace {

constexpr std::array<std::string_view, 6> state_names{"closed",      "open",     "half_open",
                                                      "forced_open", "disabled", "metrics_only"};
constexpr std::array<std::string_view, 5> outcome_names{"success", "failure", "timeout", "ignored", "abandoned"};

}  // namespace

std::string_view to_string(State state) noexcept {
    const auto index = static_cast<std::size_t>(state);
    return index < state_names.size() ? state_names[index] : "unknown";
}

std::optional<State> state_from_string(std::string_view text) noexcept {
    for (std::size_t index = 0; index < state_names.size(); ++index) {
        if (state_names[index] == text) return static_cast<State>(index);
    }
    return std::nullopt;
}

std::string_view to_string(Outcome outcome) noexcept {
    const auto index = static_cast<std::size_t>(outcome);
    return index < outcome_names.size() ? outcome_names[index] : "unknown";
}

}  // namespace fusebox
