// A text that must never be printed.
#pragma once

#include <string>
#include <utility>

namespace fusebox::service {

/// Holds a token, a key or a URL with credentials. There is no conversion and no stream operator: only `reveal` gives
/// it out, where it is used.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}

    [[nodiscard]] const std::string& reveal() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }
    bool operator==(const Secret&) const = default;

private:
    std::string value_;
};

}  // namespace fusebox::service
