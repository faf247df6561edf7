// How a lane calls the outbox: how long it waits, and which errors it repeats a call for.
#pragma once

#include <chrono>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::notifications {

/// The context of one call of the outbox.
inline incidents::RequestContext store_context() {
    return {.deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5}, .stop = {}};
}

/// False where the outbox would refuse the same write each time.
inline bool may_succeed_later(const incidents::StoreError& error) {
    using Kind = incidents::StoreError::Kind;
    return error.kind != Kind::conflict && error.kind != Kind::not_found && error.kind != Kind::invalid;
}

}  // namespace fusebox::notifications
