// page_lazy_release_test.cpp - with STEADY_DEBUG=madvfree=1 the system takes pages
// when it likes, so pages given back may still hold what they held. The option is
// read once in a process, hence a program of its own.

#include <cstdlib>

#include "heap/page_slice.hpp"

namespace {

using namespace steady;
using namespace steady::test;

// Before main and before anybody asks for the options.
[[maybe_unused]] const int option_is_set = setenv("STEADY_DEBUG", "madvfree=1", 1);

TEST(PageLazyRelease, PagesGivenBackAreNotSaidToBeZeroed) {
    ASSERT_FALSE(os::decommit_clears());
    slice s(2048_pages);
    ASSERT_TRUE(s.heap.allocate(100_pages)->zeroed);
    std::memset(s.address(0), 0xa5, 100 << page_shift);
    s.heap.free(0, 100_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 100u);
    s.expect_consistent();
    EXPECT_FALSE(s.heap.allocate(50_pages)->zeroed);
    EXPECT_FALSE(s.heap.allocate(51_pages)->zeroed) << "one page of it was given back";
    EXPECT_TRUE(s.heap.allocate(10_pages)->zeroed) << "never used";
    s.expect_consistent();
}

}  // namespace
