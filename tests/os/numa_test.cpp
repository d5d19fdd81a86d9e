// Nodes: one on most machines, as many as we like while pretending.
#include "steady/os/numa.hpp"

#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "os/support/processes.hpp"
#include "steady/core/hooks.hpp"
#include "steady/os/detail/node_list.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;

TEST(node_list, ends_one_after_its_highest_number) {
    using os::detail::end_of_list;
    EXPECT_EQ(end_of_list("0"), 1u);
    EXPECT_EQ(end_of_list("0-3"), 4u);
    EXPECT_EQ(end_of_list("0-1,4"), 5u);
    EXPECT_EQ(end_of_list("8,0-3,6-7"), 9u);
    EXPECT_EQ(end_of_list(""), 0u);
    EXPECT_EQ(end_of_list("none"), 0u);
}

TEST(numa, this_thread_is_on_a_node_of_this_machine) {
    EXPECT_GE(os::node_count(), 1u);
    EXPECT_LE(os::node_count(), os::node_limit);
    EXPECT_LT(os::current_node(), os::node_count());
}

TEST(numa, memory_can_be_bound_to_every_node_and_to_no_other) {
    os::area a = os::area::open(2_MiB, 2_MiB, 0, false, 2_MiB).value();
    a.prepare({}, 2_MiB).value();
    for (unsigned node = 0; node < os::node_count(); ++node) {
        const auto bound = os::bind(a.base(), 2_MiB, node);
        if (!bound) {  // containers may forbid mbind, and that is said
            EXPECT_NE(bound.error().code, errc::invalid_argument);
        }
    }
    EXPECT_EQ(os::bind(a.base(), 2_MiB, os::node_count()).error().code, errc::invalid_argument);
    a.base()[0] = std::byte{1};
    a.unprepare({}, 2_MiB, {}).value();
    a.close().value();
}

TEST(numa, DISABLED_four_nodes) {
    ASSERT_EQ(os::node_count(), 4u);
    std::set<unsigned> seen;
    for (int i = 0; i < 64; ++i) {
        std::thread([&] { seen.insert(os::current_node()); }).join();
    }
    EXPECT_EQ(*seen.rbegin(), 3u);
    EXPECT_EQ(seen.size(), 4u);
    EXPECT_EQ(os::current_node(), os::current_node());

    std::size_t calls = 0;
    os_hook.install(
        [](void* n, const os_event& e) {
            *static_cast<std::size_t*>(n) += e.call == os_call::bind;
        },
        &calls);
    int block = 0;
    EXPECT_TRUE(os::bind(&block, 64_MiB, 2));
    EXPECT_TRUE(os::bind(&block, 1_MiB, 2));
    EXPECT_FALSE(os::bind(&block, 1_MiB, 4));
    os_hook.remove();
    EXPECT_EQ(calls, 2u);
    EXPECT_EQ(os::pretended_binding(2), 65_MiB);
    EXPECT_EQ(os::pretended_binding(1), 0_B);
}

TEST(numa, pretends_to_have_more_nodes_when_the_user_says_so) {
    EXPECT_EQ(steady::testing::rerun_with("pretend_nodes=4", "numa.DISABLED_four_nodes"), 0);
}

}  // namespace
