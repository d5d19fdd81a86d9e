// Who limits this process: the parsers on text, and the walk up a made-up tree of groups.
#include "steady/os/limits.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "steady/os/detail/lines.hpp"

namespace {

using namespace steady;
using os::memory_limits;
using os::detail::cgroup_kind;
using os::detail::line_reader;

TEST(limits, a_line_of_mountinfo_names_root_point_and_kind) {
    const auto v1 = os::detail::parse_mount(
        "35 31 0:32 /docker/1a /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup "
        "rw,cpu,memory");
    EXPECT_EQ(v1.kind, cgroup_kind::v1_memory);
    EXPECT_EQ(v1.root, "/docker/1a");
    EXPECT_EQ(v1.point, "/sys/fs/cgroup/memory");
    const auto v2 = os::detail::parse_mount(
        "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate");
    EXPECT_EQ(v2.kind, cgroup_kind::v2);
    EXPECT_EQ(v2.point, "/sys/fs/cgroup");
    for (const char* other : {"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
                              "22 1 8:1 / / rw - ext4 /dev/root rw,memory", "", "garbage", "- - -",
                              "41 31 0:38 / /mnt/a\\040b rw - cgroup2 cgroup2 rw"}) {
        EXPECT_EQ(os::detail::parse_mount(other).kind, cgroup_kind::other) << other;
    }
}

TEST(limits, a_line_of_cgroup_names_our_group) {
    EXPECT_EQ(os::detail::parse_membership("0::/user.slice/x:y").path, "/user.slice/x:y");
    EXPECT_EQ(os::detail::parse_membership("0::/a").kind, cgroup_kind::v2);
    EXPECT_EQ(os::detail::parse_membership("4:memory:/pod").kind, cgroup_kind::v1_memory);
    EXPECT_EQ(os::detail::parse_membership("4:cpu,memory:/pod").path, "/pod");
    EXPECT_EQ(os::detail::parse_membership("9:name=memory:/pod").kind, cgroup_kind::other);
    EXPECT_EQ(os::detail::parse_membership("").kind, cgroup_kind::other);
}

TEST(limits, a_limit_is_a_number_or_nothing) {
    EXPECT_EQ(os::detail::parse_limit("536870912"), 512_MiB);
    EXPECT_EQ(os::detail::parse_limit("0"), 0_B);
    for (const char* none :
         {"max", "", "9223372036854771712", "18446744073709551615", "99999999999999999999999"}) {
        EXPECT_EQ(os::detail::parse_limit(none), memory_limits::none) << none;
    }
}

TEST(limits, the_part_of_a_path_that_the_mount_repeats_is_left_out) {
    const auto below = os::detail::below_root;
    EXPECT_EQ(below("/a/b", "/"), "/a/b");
    EXPECT_EQ(below("/docker/1a/x", "/docker/1a"), "/x");
    EXPECT_EQ(below("/docker/1a", "/docker/1a"), "");
    EXPECT_EQ(below("/", "/"), "");
    EXPECT_EQ(below("/docker/1abc", "/docker/1a"), "");  // another group
    EXPECT_EQ(below("/elsewhere", "/docker/1a"), "");
    EXPECT_EQ(below("/../sibling", "/"), "");  // outside of our namespace
}

// A tree of groups in a folder, as the kernel would show it.
class group_tree : public ::testing::Test {
protected:
    void SetUp() override {
        root_ = std::filesystem::temp_directory_path() / ("steady-" + std::to_string(getpid()));
        std::filesystem::create_directories(root_);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& file, const std::string& text) {
        const auto path = root_ / file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text << '\n';
    }
    os::detail::cgroup_limits read(const std::string& membership, const std::string& mounts) {
        line_reader members(membership), table(mounts);
        return os::detail::read_cgroup_limits(members, table);
    }
    std::string mount(const std::string& root, const std::string& kind) {
        return "35 31 0:32 " + root + " " + root_.string() + " rw - " + kind + " x rw,memory\n";
    }

    std::filesystem::path root_;
};

TEST_F(group_tree, the_lowest_limit_on_the_way_up_counts) {
    write("pod/box/memory.max", "max");
    write("pod/box/memory.high", "314572800");
    write("pod/memory.max", "1073741824");
    write("pod/memory.high", "max");
    write("memory.max", "8589934592");
    const auto limits = read("0::/pod/box\n", mount("/", "cgroup2"));
    EXPECT_EQ(limits.max, 1_GiB);
    EXPECT_EQ(limits.high, 300_MiB);
}

TEST_F(group_tree, version_one_is_read_as_well) {
    write("pod/memory.limit_in_bytes", "9223372036854771712");
    write("memory.limit_in_bytes", "2147483648");
    const auto limits = read("5:cpu:/other\n4:memory:/pod\n0::/\n", mount("/", "cgroup"));
    EXPECT_EQ(limits.max, 2_GiB);
    EXPECT_EQ(limits.high, memory_limits::none);
}

TEST_F(group_tree, inside_a_container_the_mount_itself_is_our_group) {
    write("memory.max", "67108864");
    EXPECT_EQ(read("0::/\n", mount("/", "cgroup2")).max, 64_MiB);
    EXPECT_EQ(read("0::/docker/1a\n", mount("/docker/1a", "cgroup2")).max, 64_MiB);
    EXPECT_EQ(read("0::/../..\n", mount("/", "cgroup2")).max, 64_MiB);
}

TEST_F(group_tree, missing_files_and_endless_paths_say_nothing) {
    const auto nothing = read("0::/pod\n", mount("/", "cgroup2"));
    EXPECT_EQ(nothing.max, memory_limits::none);
    const std::string endless(5000, 'x');
    EXPECT_EQ(read("0::/" + endless + "\n", mount("/", "cgroup2")).max, memory_limits::none);
    EXPECT_EQ(read("", "").max, memory_limits::none);
}

TEST(limits, the_suggestion_is_high_or_nine_tenths_of_max_and_only_in_a_container) {
    memory_limits limits;
    limits.physical = 16_GiB;
    EXPECT_EQ(limits.suggested_soft_limit(), memory_limits::none);
    limits.cgroup_max = 10_GiB;
    EXPECT_EQ(limits.suggested_soft_limit(), 9_GiB);
    limits.cgroup_high = 4_GiB;
    EXPECT_EQ(limits.suggested_soft_limit(), 4_GiB);
    limits.cgroup_high = memory_limits::none;
    limits.cgroup_max = 64_GiB;  // more than there is: no container's limit
    EXPECT_EQ(limits.suggested_soft_limit(), memory_limits::none);
}

TEST(limits, this_process_has_some) {
    const memory_limits limits = os::read_memory_limits();
    EXPECT_NE(limits.physical, memory_limits::none);
    EXPECT_GT(limits.physical, 64_MiB);
    EXPECT_GE(limits.max_map_count, 1000u);
    EXPECT_EQ(limits.physical.count() % (4096), 0u);
    EXPECT_GE(limits.cgroup_max, 1_MiB);
}

}  // namespace
