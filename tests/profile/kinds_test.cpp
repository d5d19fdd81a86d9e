// kinds_test.cpp - growth, retained, cpu, labels, deltas.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>

#include <sys/prctl.h>

#include "profile/support.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/label.hpp"
#include "steady/profile/profile.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;
using namespace steady::profile;
using namespace steady::profile::test;

class Kinds : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(start());
        set_rate(1);
    }
    void TearDown() override { stop(); }
};

[[gnu::noinline]] void grow_a_slice() {
    slice<int> s;
    for (int i = 0; i < 10'000; ++i) s = append(s, i);
    asm volatile("" : : "r"(&s) : "memory");
}

TEST_F(Kinds, GrowthNamesWhoMadeTheContainerGrow) {
    grow_a_slice();
    const auto mine = through(snapshot(kind::growth), "grow_a_slice");
    ASSERT_FALSE(mine.empty());
    EXPECT_GT(total(mine, 0), 5);
    EXPECT_GE(total(mine, 2), 10'000 * 4);
    bool says_slice = false;
    for (const auto& l : mine[0].labels)
        says_slice = says_slice || (l.key == "container" && l.text == "slice");
    EXPECT_TRUE(says_slice);
}

[[gnu::noinline]] slice<char> keep_a_piece(std::ptrdiff_t of) {
    const slice<char> all = slice<char>::make(of, of);
    return all.sub(0, 16);
}

TEST_F(Kinds, RetainedNamesWhoCutASmallViewOfALargeArray) {
    const slice<char> piece = keep_a_piece(1 << 20);
    const auto mine = through(snapshot(kind::retained), "keep_a_piece");
    ASSERT_EQ(mine.size(), 1u);
    EXPECT_EQ(mine[0].values[0], 1);
    EXPECT_GE(mine[0].values[1], 1 << 20);
}

std::atomic<bool> burn{true};
std::atomic<std::uint64_t> burnt{0};
[[gnu::noinline]] void burn_processor_time() {
    while (burn.load(std::memory_order_relaxed)) {
        for (int i = 0; i < 1000; ++i) burnt.fetch_add(1, std::memory_order_relaxed);
    }
}

TEST_F(Kinds, CpuNamesWhoUsedTheProcessor) {
    std::thread worker([] {
        prctl(PR_SET_NAME, "worker");
        burn_processor_time();
    });
    const auto records = snapshot(kind::cpu, {.seconds = 1});
    burn = false;
    worker.join();
    const auto mine = through(records, "burn_processor_time");
    const std::int64_t all = total(records, 1), its = total(mine, 1);
    EXPECT_GT(its, all / 2);
    EXPECT_GT(total(mine, 0), 5);
    EXPECT_EQ(total(mine, 1), total(mine, 0) * 10'000'000);
    EXPECT_LT(all, 2'000'000'000) << "one thread can burn one second a second";
}

// A program may reset its signals at any time; SIGPROF's default is to end it.
TEST_F(Kinds, ACpuProfileSurvivesAProgramThatResetsSigprofAndLeavesItsHandlerAlone) {
    burn = true;
    std::thread worker([] { burn_processor_time(); });
    EXPECT_FALSE(through(snapshot(kind::cpu, {.seconds = 1}), "burn_processor_time").empty());
    std::signal(SIGPROF, SIG_DFL);
    EXPECT_FALSE(through(snapshot(kind::cpu, {.seconds = 1}), "burn_processor_time").empty());
    const auto of_the_program = [](int) {};
    std::signal(SIGPROF, of_the_program);
    const auto refused_at = std::chrono::steady_clock::now();
    static_cast<void>(write_pprof(kind::cpu, {.seconds = 1}));
    EXPECT_LT(std::chrono::steady_clock::now() - refused_at, std::chrono::milliseconds(900));
    EXPECT_EQ(std::signal(SIGPROF, SIG_DFL), +of_the_program);
    burn = false;
    worker.join();
}

TEST_F(Kinds, TwoCpuProfilesAtOnceFollowEachOtherAndBothAreWhole) {
    burn = true;
    std::thread worker([] { burn_processor_time(); });
    std::int64_t first = 0, second = 0;
    std::thread other([&] { first = total(snapshot(kind::cpu, {.seconds = 1}), 0); });
    second = total(snapshot(kind::cpu, {.seconds = 1}), 0);
    other.join();
    burn = false;
    worker.join();
    EXPECT_GT(first, 5);
    EXPECT_GT(second, 5);
}

[[gnu::noinline]] void* allocate_labelled(std::size_t size) {
    void* p = allocate(size);
    asm volatile("" : : "r"(p) : "memory");
    return p;
}

std::map<std::string, std::string> labels_of(const stack_record& r) {
    std::map<std::string, std::string> out;
    for (const auto& l : r.labels)
        out[l.key] = l.unit.empty() ? l.text : std::to_string(l.number) + l.unit;
    return out;
}

TEST_F(Kinds, LabelsSayWhatTheThreadWasBusyWith) {
    void* outer = nullptr;
    void* inner = nullptr;
    void* after = nullptr;
    std::thread t([&] {
        prctl(PR_SET_NAME, "labelled");
        {
            const label_scope route("route", "/search");
            outer = allocate_labelled(100);
            const label_scope hidden("route", "/inner"), user("user", std::string(200, 'u'));
            inner = allocate_labelled(200);
        }
        after = allocate_labelled(300);
    });
    t.join();
    std::map<std::string, std::map<std::string, std::string>> by_size;
    for (const auto& r : through(snapshot(kind::heap), "allocate_labelled")) {
        const auto labels = labels_of(r);
        by_size[labels.at("bytes")] = labels;
    }
    ASSERT_EQ(by_size.size(), 3u);
    EXPECT_EQ(by_size["112bytes"]["route"], "/search");
    EXPECT_EQ(by_size["112bytes"]["thread"], "labelled");
    EXPECT_EQ(by_size["208bytes"]["route"], "/inner");
    EXPECT_EQ(by_size["208bytes"]["user"], std::string(95, 'u'));
    EXPECT_EQ(by_size["320bytes"].count("route"), 0u);
    const temporary_file file(".pb.gz");
    file.write(write_pprof(kind::heap));
    const outcome tags = run(pprof + " -tags " + file.path());
    EXPECT_NE(tags.output.find("/search"), std::string::npos) << tags.output;
    const outcome focus = run(pprof + " -top -tagfocus=route=/search " + file.path());
    EXPECT_NE(focus.output.find("allocate_labelled"), std::string::npos) << focus.output;
    for (void* p : {outer, inner, after}) deallocate(p);
}

TEST_F(Kinds, WithSecondsAHeapProfileIsTheDifference) {
    void* before = allocate_labelled(1000);
    void* during = nullptr;
    std::thread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        during = allocate_labelled(5000);
        deallocate(before);
    });
    const auto records = through(snapshot(kind::heap, {.seconds = 1}), "allocate_labelled");
    later.join();
    EXPECT_EQ(total(records, alloc_objects), 1);
    EXPECT_EQ(total(records, inuse_objects), 0) << "one came and one went";
    EXPECT_EQ(total(records, inuse_space), 5376 - 1024);
    deallocate(during);
}

TEST_F(Kinds, EveryKindOpensInPprof) {
    grow_a_slice();
    const slice<char> piece = keep_a_piece(1 << 20);
    void* p = allocate_labelled(70'000);
    burn = true;
    std::thread worker([] { burn_processor_time(); });
    for (const kind k : all_kinds) {
        for (const bool symbolize : {true, false}) {
            const temporary_file file(".pb.gz");
            file.write(
                write_pprof(k, {.symbolize = symbolize, .seconds = k == kind::cpu ? 1u : 0u}));
            const outcome raw = run(pprof + " -raw " + file.path());
            EXPECT_EQ(raw.status, 0) << name(k) << raw.output;
            EXPECT_NE(raw.output.find(value_types(k)[0].type), std::string::npos) << raw.output;
            if (k == kind::cpu && symbolize) {
                const outcome top = run(pprof + " -top " + file.path());
                EXPECT_NE(top.output.find("burn_processor_time"), std::string::npos) << top.output;
                EXPECT_NE(top.output.find("Duration"), std::string::npos) << top.output;
            }
        }
    }
    burn = false;
    worker.join();
    deallocate(p);
}

}  // namespace
