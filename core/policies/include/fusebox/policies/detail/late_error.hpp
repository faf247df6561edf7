// What a policy that watches a deadline makes of an answer that came after it.
#pragma once

#include <expected>
#include <memory>

#include <fusebox/core/call_error.hpp>
#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// R33: a late error of the operation becomes a timeout after `allowed`. A late value stays, and so does a late
/// refusal: then the operation never ran.
template <class Answer>
void late_error_to_timeout(Answer& answer, Duration allowed) {
    if (answer || answer.error().operation_error() == nullptr) return;
    // Made anew and not assigned, so that neither value nor error need be assignable. The construction cannot throw.
    std::destroy_at(&answer);
    std::construct_at(&answer, std::unexpect, TimeoutError{allowed});
}

}  // namespace fusebox::detail
