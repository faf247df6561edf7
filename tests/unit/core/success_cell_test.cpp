#include "success_cell.hpp"

#include "support/rig.hpp"

namespace fusebox::test {

using namespace detail;
namespace {

using namespace std::chrono_literals;

// As often as it takes, and how often that was.
std::uint64_t fill(SuccessCell& cell, Duration duration) {
    std::uint64_t count = 0;
    for (; count < 100'000 && cell.takes(cell.measured()); ++count) cell = cell.plus(duration);
    return count;
}

TEST_CASE("R41: a cell counts successes and their durations together") {
    SuccessCell cell{7, true};
    CHECK(cell.successes() == 0);
    CHECK(cell.durations() == 0ns);
    cell = cell.plus(3us).plus(0ns).plus(39ns);
    CHECK(cell.successes() == 3);
    CHECK(cell.durations() == 3039ns);
    CHECK(cell.measured());
    CHECK_FALSE(cell.full());
}

TEST_CASE("R41: no field of a full cell runs over into its neighbour") {
    const auto duration = GENERATE(0ns, 1ns, 1024ns, 1025ns, 1ms, SuccessCell::longest);
    const auto measured = GENERATE(false, true);
    const auto seal = GENERATE(0U, 1U, (1U << 25U) - 1U);
    SuccessCell cell{seal, measured};
    const auto count = fill(cell, duration);
    CHECK(cell.full());
    CHECK(cell.successes() == count);
    CHECK(cell.durations() == duration * static_cast<Duration::rep>(count));
    CHECK(cell.measured() == measured);
    // The same success less leaves room, and the seal is that of the beginning.
    const auto added = static_cast<std::uint64_t>(duration.count()) * count << 14U | count;
    CHECK(cell.bits() - added == SuccessCell{seal, measured}.bits());
}

TEST_CASE("R41: a cell is full at the bound of either field, and not before") {
    SuccessCell by_count{0, true};
    CHECK(fill(by_count, 0ns) == 8192);

    SuccessCell by_time{0, true};  // 8 times 2^20 - 1 and then 8 ns are 2^23
    for (int i = 0; i < 8; ++i) by_time = by_time.plus(SuccessCell::longest);
    by_time = by_time.plus(7ns);
    CHECK_FALSE(by_time.full());
    CHECK(by_time.plus(1ns).full());
    CHECK(by_time.plus(SuccessCell::longest).durations() == 9 * SuccessCell::longest + 7ns);
}

TEST_CASE("R41: a cell takes only successes of its kind") {
    CHECK(SuccessCell(0, true).takes(true));
    CHECK_FALSE(SuccessCell(0, true).takes(false));
    CHECK(SuccessCell(0, false).takes(false));
    CHECK_FALSE(SuccessCell(0, false).takes(true));
}

TEST_CASE("R8: two sealings leave different bits, until the numbers repeat after 2^25") {
    CHECK(SuccessCell(1, true).bits() != SuccessCell(2, true).bits());
    CHECK(SuccessCell(1U << 24U, true).bits() != SuccessCell(0, true).bits());
    CHECK(SuccessCell(1U << 25U, true).bits() == SuccessCell(0, true).bits());
}

}  // namespace
}  // namespace fusebox::test
