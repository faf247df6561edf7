// What an operator may say with a change: who asks for it, and a note.
#pragma once

#include <expected>
#include <string>

#include <fusebox/middleware/http.hpp>

namespace fusebox::service {

struct OperatorBody {
    std::string actor;  ///< as the body says it: printable, at most 256 bytes; empty: unsaid
    std::string note;
};

enum class NoteRule { optional, required };

/// Reads {"actor", "note"}. A body may be left out where the note is optional. 400, 415 or 422 for what is not such a
/// body.
[[nodiscard]] std::expected<OperatorBody, middleware::Response> read_operator_body(const middleware::Request& request,
                                                                                   NoteRule rule);

}  // namespace fusebox::service
