// dump_test.cpp - profiles as files: whole or not at all, and a clear word when not.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include <sys/stat.h>
#include <sys/wait.h>

#include "profile/support.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/dump.hpp"

namespace {

using namespace steady;
using namespace steady::profile;
using namespace steady::profile::test;
namespace fs = std::filesystem;

bool opens(const std::string& path) {
    return run(pprof + " -raw " + path).status == 0;
}

struct folder {
    folder() {
        char name[] = "/tmp/steady-dump-XXXXXX";
        path = mkdtemp(name);
    }
    ~folder() { fs::remove_all(path); }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path), fs::directory_iterator()));
    }
    std::string path;
};

TEST(Dump, AFileIsReplacedWhole) {
    ASSERT_TRUE(start());
    const folder f;
    const std::string path = f.path + "/heap.pb.gz";
    std::ofstream(path) << "old";
    EXPECT_EQ(write_file(kind::heap, path), "");
    EXPECT_TRUE(opens(path));
    EXPECT_EQ(f.files(), 1u) << "nothing is left beside it";
    stop();
}

TEST(Dump, ALinkStaysALink) {
    const folder f;
    std::ofstream(f.path + "/target") << "old";
    fs::create_symlink("target", f.path + "/link");
    EXPECT_EQ(write_file(kind::heap, f.path + "/link"), "");
    EXPECT_TRUE(fs::is_symlink(f.path + "/link"));
    EXPECT_TRUE(opens(f.path + "/target"));
}

TEST(Dump, AMissingFolderAFullDiskAndAForbiddenPlaceAreNamed) {
    const std::string missing = write_file(kind::heap, "/nowhere/at/all.pb.gz");
    EXPECT_NE(missing.find("the folder does not exist"), std::string::npos) << missing;
    EXPECT_NE(missing.find("/nowhere/at/all.pb.gz"), std::string::npos) << missing;
    const std::string full = write_file(kind::heap, "/dev/full");
    EXPECT_NE(full.find("the disk is full"), std::string::npos) << full;
    const std::string no_file = write_file(kind::heap, "/proc/version");
    EXPECT_FALSE(no_file.empty());
    const std::string below_a_file = write_file(kind::heap, "/etc/passwd/heap");
    EXPECT_NE(below_a_file.find("no folder"), std::string::npos) << below_a_file;
}

// A file system of 64 KiB: the profile does not fit, the old one stays.
TEST(Dump, WhenTheDiskIsFullTheOldFileStays) {
    const folder f;
    if (run("mount -t tmpfs -o size=64k none " + f.path).status != 0)
        GTEST_SKIP() << "no mount here";
    const std::string path = f.path + "/heap.pb.gz";
    std::ofstream(path) << "old";
    run("head -c 65536 /dev/zero > " + f.path + "/fill");
    const std::string error = write_file(kind::heap, path);
    EXPECT_NE(error.find("the disk is full"), std::string::npos) << error;
    std::string text;
    std::ifstream(path) >> text;
    EXPECT_EQ(text, "old");
    EXPECT_EQ(f.files(), 2u);
    run("umount " + f.path);
}

template <class Condition>
bool soon(Condition condition) {
    for (int i = 0; i < 500; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

TEST(Dump, ASignalWritesNumberedFilesThatCanBeCompared) {
    ASSERT_TRUE(start());
    set_rate(1);
    const folder f;
    dump_settings settings;
    settings.profile_file = f.path + "/heap-%p-%n.pb.gz";
    settings.signal = SIGUSR2;
    ASSERT_EQ(watch(settings), "");
    const std::uint64_t before = read_dump_counts().written;
    raise(SIGUSR2);
    ASSERT_TRUE(soon([&] { return read_dump_counts().written == before + 1; }));
    void* p = allocate(123'456);
    raise(SIGUSR2);
    ASSERT_TRUE(soon([&] { return read_dump_counts().written == before + 2; }));
    const std::string prefix = f.path + "/heap-" + std::to_string(getpid()) + "-";
    std::vector<std::string> written;
    for (const auto& entry : fs::directory_iterator(f.path)) written.push_back(entry.path());
    std::sort(written.begin(), written.end());
    ASSERT_EQ(written.size(), 2u);
    EXPECT_TRUE(written[0].starts_with(prefix)) << written[0];
    const outcome difference = run(pprof + " -top -base " + written[0] + " " + written[1]);
    EXPECT_NE(difference.output.find("Showing nodes accounting for 128kB"), std::string::npos)
        << difference.output;
    EXPECT_NE(difference.output.find("ASignalWritesNumbered"), std::string::npos)
        << difference.output;
    deallocate(p);
    EXPECT_EQ(watch({}), "");
    stop();
}

TEST(Dump, ASignalOfTheProgramIsLeftAlone) {
    struct sigaction theirs {
    }, before{}, now{};
    theirs.sa_handler = [](int) {};
    sigaction(SIGUSR1, &theirs, &before);
    dump_settings settings;
    settings.profile_file = "/tmp/never.pb.gz";
    settings.signal = SIGUSR1;
    const std::string refused = watch(settings);
    EXPECT_NE(refused.find("has a handler of the program"), std::string::npos) << refused;
    sigaction(SIGUSR1, nullptr, &now);
    EXPECT_EQ(now.sa_handler, theirs.sa_handler);
    sigaction(SIGUSR1, &before, nullptr);
    EXPECT_EQ(watch({}), "");
}

TEST(Dump, PassingTheLimitWritesOnceEachTime) {
    ASSERT_TRUE(start());
    const folder f;
    const std::uint64_t live = read_heap_statistics().heap_alloc;
    dump_settings settings;
    settings.profile_file = f.path + "/%n.pb.gz";
    settings.live_limit = live + (8 << 20);
    ASSERT_EQ(watch(settings), "");
    const std::uint64_t before = read_dump_counts().written;
    for (std::uint64_t round = 1; round <= 2; ++round) {
        void* p = allocate(12 << 20);
        EXPECT_TRUE(soon([&] { return read_dump_counts().written == before + round; }));
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        EXPECT_EQ(read_dump_counts().written, before + round) << "once";
        deallocate(p);
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    EXPECT_EQ(watch({}), "");
    stop();
}

TEST(Dump, AFailedAllocationWritesAProfileBeforeTheProgramSeesIt) {
    ASSERT_TRUE(start());
    const folder f;
    dump_settings settings;
    settings.profile_file = f.path + "/failure.pb.gz";
    settings.on_failure = true;
    ASSERT_EQ(watch(settings), "");
    void* held = allocate(3 << 20);
    set_memory_limit(0, 64 << 20);
    void* p = allocate(std::size_t{256} << 20);
    EXPECT_EQ(p, nullptr);
    EXPECT_TRUE(fs::exists(settings.profile_file)) << "it was waited for";
    EXPECT_TRUE(opens(settings.profile_file));
    EXPECT_EQ(allocate(std::size_t{256} << 20), nullptr) << "the limit is back";
    set_memory_limit(0, 0);
    deallocate(held);
    EXPECT_EQ(watch({}), "");
    stop();
}

}  // namespace
