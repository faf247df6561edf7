// The slots of a half-open circuit, and until when each probe may keep its slot (R4, R24).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// Slots for `half_open_max_concurrent` probes. Takes memory only when reserve() raises their number. Not thread-safe.
class ProbeTable {
public:
    struct Probe {
        std::uint64_t ticket{};  // 0: the slot is free
        TimePoint started{};
        TimePoint deadline{};
    };

    /// May throw `bad_alloc`, and then changes nothing.
    void reserve(std::uint32_t slots) {
        if (slots > slots_.size()) slots_.resize(slots);
    }
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }

    /// Takes a free slot. Only while fewer probes are in flight than were reserved.
    std::uint32_t take(const Probe& probe) noexcept {
        const auto free = std::ranges::find(slots_, 0U, &Probe::ticket);
        *free = probe;
        ++in_flight_;
        return static_cast<std::uint32_t>(free - slots_.begin());
    }
    /// Frees the slot if the probe with that ticket still holds it.
    bool release(std::uint32_t slot, std::uint64_t ticket) noexcept {
        if (slots_[slot].ticket != ticket) return false;
        slots_[slot] = {};
        --in_flight_;
        return true;
    }
    /// Frees the slot of the probe whose lease was the first to run out. Empty: no lease has run out at `now`.
    std::optional<Probe> take_expired(TimePoint now) noexcept {
        Probe* first = nullptr;
        for (auto& probe : slots_) {
            if (probe.ticket == 0 || now < probe.deadline) continue;
            if (first == nullptr || std::tie(probe.deadline, probe.ticket) < std::tie(first->deadline, first->ticket)) {
                first = &probe;
            }
        }
        if (first == nullptr) return std::nullopt;
        --in_flight_;
        return std::exchange(*first, {});
    }
    /// The first deadline of all probes in flight.
    [[nodiscard]] TimePoint earliest_deadline() const noexcept {
        auto earliest = TimePoint::max();
        for (const auto& probe : slots_) {
            if (probe.ticket != 0) earliest = std::min(earliest, probe.deadline);
        }
        return earliest;
    }
    void clear() noexcept {
        std::ranges::fill(slots_, Probe{});
        in_flight_ = 0;
    }

private:
    std::vector<Probe> slots_;
    std::uint32_t in_flight_{};
};

}  // namespace fusebox::detail
