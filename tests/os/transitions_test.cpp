// O1-O4 for random sequences of transitions; see support/transitions_model.hpp.
#include "os/support/transitions_model.hpp"

#include <gtest/gtest.h>

#include "steady/core/random.hpp"

namespace {

using steady::testing::mappings;
using steady::testing::transitions_model;

std::vector<std::uint8_t> random_input(std::uint64_t seed, std::size_t length) {
    steady::splitmix64 random{seed};
    std::vector<std::uint8_t> input(length);
    for (auto& byte : input) byte = static_cast<std::uint8_t>(random() >> 56);
    return input;
}

TEST(transitions, random_sequences_agree_with_the_ledgers_and_the_kernel) {
    transitions_model model;
    transitions_model::outcome sum;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        const auto input = random_input(seed, 3000);
        const auto done = model.run(input.data(), input.size());
        sum.operations += done.operations;
        sum.failures_met += done.failures_met;
        sum.moves += done.moves;
    }
    // Or the loop above proved nothing.
    EXPECT_GE(sum.operations, 30'000u);
    EXPECT_GE(sum.failures_met, 300u);
    EXPECT_GE(sum.moves, 300u);
}

TEST(transitions, the_whole_process_grows_and_shrinks_by_what_the_ledgers_say) {
    static mappings before, after;
    auto& ledgers = steady::os::ledgers();
    const steady::bytes page = steady::os::os_page();
    {  // whatever is mapped by the first use of anything
        auto area = steady::os::area::open(page, page, 0, false, page).value();
        area.close().value();
        after.read();
    }
    before.read();
    const steady::bytes ledgers_before = ledgers.mapped();
    auto area = steady::os::area::open(page * 1000, page * 16, 0, false, page).value();
    area.prepare(page * 10, page * 100).value();
    steady::os::use(area.base() + 10 * page.count(), page * 50);
    area.unprepare(page * 20, page * 5, page * 5).value();
    std::byte* const block = steady::os::map_plain(page * 7).value();
    after.read();
    EXPECT_EQ((after.mapped_in_all() - before.mapped_in_all()).count(),
              (ledgers.mapped() - ledgers_before).count());

    steady::os::unmap_plain(block, page * 7).value();
    area.unprepare(page * 10, page * 10, page * 10).value();
    area.unprepare(page * 25, page * 85, page * 35).value();
    area.close().value();
    after.read();
    EXPECT_EQ(after.mapped_in_all().count(), before.mapped_in_all().count());
    EXPECT_EQ(ledgers.mapped().count(), ledgers_before.count());
}

}  // namespace
