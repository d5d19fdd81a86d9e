// ENOMEM has three reasons, and the error says which; the seam lets any call fail.
#include "steady/os/detail/failure.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using os::detail::explain_no_memory;
using os::detail::limits_seen;

constexpr std::uint64_t none = ~std::uint64_t{0};

TEST(explain_no_memory, names_the_limit_that_the_request_would_cross) {
    limits_seen seen{(900_MiB).count(), (1_GiB).count(), 0, none, 100, 65530};
    EXPECT_EQ(explain_no_memory(seen, 200_MiB), errc::address_space_limit);
    EXPECT_EQ(explain_no_memory(seen, 124_MiB), errc::out_of_memory);  // fits exactly
    EXPECT_EQ(explain_no_memory(seen, bytes{none}), errc::address_space_limit);
    seen = {(2_GiB).count(), (1_GiB).count(), 0, none, 100, 65530};  // lowered afterwards
    EXPECT_EQ(explain_no_memory(seen, 0_B), errc::address_space_limit);
    seen = {0, none, (60_MiB).count(), (64_MiB).count(), 100, 65530};
    EXPECT_EQ(explain_no_memory(seen, 8_MiB), errc::address_space_limit);
    EXPECT_EQ(explain_no_memory(seen, 4_MiB), errc::out_of_memory);
    seen = {0, none, 0, none, 65525, 65530};
    EXPECT_EQ(explain_no_memory(seen, 4_KiB), errc::map_count_limit);
    seen = {0, none, 0, none, 60000, 65530};
    EXPECT_EQ(explain_no_memory(seen, 4_KiB), errc::out_of_memory);
}

TEST(failure, each_errno_becomes_something_a_caller_can_act_on) {
    const auto code = [](int number) { return os::detail::failure(-number, "x").code; };
    EXPECT_EQ(code(ENOMEM), errc::out_of_memory);
    EXPECT_EQ(code(EAGAIN), errc::out_of_memory);
    EXPECT_EQ(code(EEXIST), errc::occupied);
    EXPECT_EQ(code(EPERM), errc::not_permitted);
    EXPECT_EQ(code(EACCES), errc::not_permitted);
    EXPECT_EQ(code(ENOSYS), errc::unsupported);
    EXPECT_EQ(code(EINVAL), errc::invalid_argument);
    const error e = os::detail::failure(-EPERM, "mbind of an arena");
    EXPECT_EQ(e.system_errno, EPERM);
    EXPECT_STREQ(e.action, "mbind of an arena");
}

// RLIMIT_AS lies below what the process has: whoever looks finds it, so failure() has not.
TEST(failure, does_not_look_for_the_limit_and_explain_does) {
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    const rlimit tight{4096, before.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    const error e = os::detail::failure(-ENOMEM, "x");
    const error told = os::explain(e, 4_KiB);
    setrlimit(RLIMIT_AS, &before);
    EXPECT_EQ(e.code, errc::out_of_memory);
    EXPECT_EQ(told.code, errc::address_space_limit);
    EXPECT_EQ(told.system_errno, ENOMEM);
    EXPECT_STREQ(told.action, "x");
    EXPECT_EQ(os::explain({errc::occupied, EEXIST, "x"}, 4_KiB).code, errc::occupied);
}

TEST(seam, fails_exactly_the_calls_that_were_planned) {
    using os::detail::fail_nth_call;
    using os::detail::refused;
    fail_nth_call(3, 1, EAGAIN);
    EXPECT_FALSE(refused());
    EXPECT_FALSE(refused());
    EXPECT_TRUE(refused());
    EXPECT_EQ(os::detail::refusal(), -EAGAIN);
    EXPECT_TRUE(refused());
    EXPECT_FALSE(refused());
    EXPECT_EQ(fail_nth_call(0), 2u);
    EXPECT_EQ(fail_nth_call(5), 0u);
    EXPECT_FALSE(refused());
    EXPECT_EQ(fail_nth_call(0), 0u);  // not reached
    EXPECT_FALSE(refused());
}

TEST(seam, an_injected_failure_leaves_errno_alone) {
    errno = 1234;
    os::detail::fail_nth_call(1);
    EXPECT_FALSE(os::map_plain(os::os_page()));
    os::detail::fail_nth_call(0);
    EXPECT_EQ(errno, 1234);
}

}  // namespace
