// heap_statistics_test.cpp - the figures add up as statistics.hpp defines them, and
// their two texts are complete, well-formed and never longer than their buffer.
#include "steady/heap/statistics.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;

// Just enough JSON to say whether a text is some, and to keep its top-level numbers.
class json_reader {
public:
    explicit json_reader(std::string_view text) : rest_{text} {}

    bool reads_whole_text() { return value(0) && rest_.empty(); }

    std::map<std::string, std::uint64_t> numbers;  // of the outer object, by name
    std::vector<std::map<std::string, std::uint64_t>> lines;

private:
    bool take(char c) {
        while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool text(std::string& out) {
        if (!take('"')) return false;
        const std::size_t end = rest_.find('"');
        if (end == std::string_view::npos) return false;
        out = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return out.find('\\') == std::string::npos;
    }
    bool number(std::uint64_t& out) {
        while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
        std::size_t digits = 0;
        for (out = 0; digits < rest_.size() && std::isdigit(rest_[digits]) != 0; ++digits)
            out = out * 10 + static_cast<std::uint64_t>(rest_[digits] - '0');
        const bool valid = digits != 0 && (digits == 1 || rest_.front() != '0');
        rest_.remove_prefix(digits);
        return valid;
    }
    bool object(int depth) {
        if (depth == 2) lines.emplace_back();
        do {
            std::string name;
            if (!text(name) || !take(':')) return false;
            std::uint64_t n = 0;
            if (number(n)) {
                auto& into = depth == 2 ? lines.back() : numbers;
                if (!into.emplace(name, n).second) return false;  // a name twice
            } else if (!value(depth)) {
                return false;
            }
        } while (take(','));
        return take('}');
    }
    bool value(int depth) {
        if (take('{')) return object(depth + 1);
        if (!take('[')) return false;
        do {
            if (!value(depth)) return false;
        } while (take(','));
        return take(']');
    }

    std::string_view rest_;
};

std::string json_of(const heap_statistics& s) {
    std::string text(1 << 16, '\0');
    text.resize(write_statistics_json(s, text.data(), text.size()));
    return text;
}

std::vector<void*> some_objects(std::uint64_t seed) {
    wyrand random(seed);
    std::vector<void*> live;
    for (int i = 0; i < 4000; ++i) {
        const std::uint32_t kind = random.fastrandn(500);
        live.push_back(detail::allocate(kind == 0   ? random.fastrandn(9 << 20)
                                        : kind < 20 ? random.fastrandn(200'000)
                                                    : random.fastrandn(3000)));
        if (random.fastrandn(3) == 0) {
            std::swap(live[random.fastrandn(static_cast<std::uint32_t>(live.size()))], live.back());
            detail::deallocate(live.back());
            live.pop_back();
        }
    }
    return live;
}

TEST(Statistics, TheFiguresAddUp) {
    const std::vector<void*> live = some_objects(1);
    const heap_statistics s = read_statistics();
    EXPECT_EQ(s.sys, s.heap_sys + s.mspan_sys + s.mcache_sys + s.other_sys);
    EXPECT_EQ(s.sys, (os::ledgers().ready.value() + os::ledgers().prepared.value()).count());
    EXPECT_EQ(s.heap_sys, s.heap_inuse + s.heap_idle);
    EXPECT_GE(s.heap_idle, s.heap_released);
    EXPECT_EQ(s.heap_alloc, s.total_alloc - s.total_freed);
    EXPECT_EQ(s.heap_objects, s.mallocs - s.frees);
    EXPECT_LE(s.heap_alloc + s.cached_bytes, s.heap_inuse);
    EXPECT_LE(s.mspan_inuse, s.mspan_sys);
    EXPECT_LE(s.mcache_inuse, s.mcache_sys);
    EXPECT_GE(s.threads, 1u);
    for (void* p : live) detail::deallocate(p);
}

TEST(Statistics, TheClassesSumToTheWhole) {
    const std::vector<void*> live = some_objects(2);
    const heap_statistics s = read_statistics();
    std::uint64_t mallocs = 0, frees = 0, small_bytes = 0, span_bytes = 0;
    for (unsigned c = 0; c < class_count; ++c) {
        const auto& line = s.by_size[c];
        EXPECT_EQ(line.size, class_size[c]);
        EXPECT_GE(line.mallocs, line.frees);
        mallocs += line.mallocs;
        frees += line.frees;
        small_bytes += (line.mallocs - line.frees) * line.size;
        span_bytes += line.span_bytes;
        if (c != 0) {
            EXPECT_LE((line.mallocs - line.frees) * line.size, line.span_bytes);
        }
    }
    EXPECT_EQ(mallocs, s.mallocs);
    EXPECT_EQ(frees, s.frees);
    EXPECT_EQ(s.by_size[0].mallocs - s.by_size[0].frees, s.large_objects);
    EXPECT_LE(span_bytes, s.heap_inuse);
    std::uint64_t live_bytes = 0, large_bytes = 0, large = 0;
    for (void* p : live) {
        live_bytes += usable_size(p);
        if (usable_size(p) > 32'768) large_bytes += usable_size(p), ++large;
    }
    EXPECT_GE(s.large_objects, large);
    EXPECT_GE(s.heap_alloc, live_bytes);
    EXPECT_GE(s.heap_alloc - small_bytes, large_bytes);
    for (void* p : live) detail::deallocate(p);
}

TEST(Statistics, AnObjectOfEveryClassIsCountedInItsLine) {
    for (unsigned c = 1; c < class_count; ++c) {
        const heap_statistics before = read_statistics();
        void* p = steady::allocate(class_size[c], 8);
        const heap_statistics during = read_statistics();
        EXPECT_EQ(during.by_size[c].mallocs, before.by_size[c].mallocs + 1) << class_size[c];
        EXPECT_EQ(during.heap_alloc, before.heap_alloc + class_size[c]);
        EXPECT_GE(during.by_size[c].spans, 1u);
        steady::deallocate(p);
        const heap_statistics after = read_statistics();
        EXPECT_EQ(after.by_size[c].frees, before.by_size[c].frees + 1) << class_size[c];
        EXPECT_EQ(after.heap_alloc, before.heap_alloc);
    }
}

TEST(Statistics, ReadingThemChangesNothing) {
    const heap_statistics first = read_statistics();
    const heap_statistics second = read_statistics();
    EXPECT_EQ(json_of(first), json_of(second));
}

TEST(Statistics, TheJsonIsWellFormedAndSaysWhatTheStructureSays) {
    const std::vector<void*> live = some_objects(3);
    const heap_statistics s = read_statistics();
    const std::string text = json_of(s);
    json_reader json(text);
    ASSERT_TRUE(json.reads_whole_text()) << text;
    EXPECT_EQ(json.numbers.at("sys"), s.sys);
    EXPECT_EQ(json.numbers.at("heap_inuse"), s.heap_inuse);
    EXPECT_EQ(json.numbers.at("heap_alloc"), s.heap_alloc);
    EXPECT_EQ(json.numbers.at("mallocs"), s.mallocs);
    EXPECT_EQ(json.numbers.at("frees"), s.frees);
    EXPECT_EQ(json.numbers.at("threads"), s.threads);
    EXPECT_EQ(json.numbers.size(), 23u);
    ASSERT_EQ(json.lines.size(), class_count);
    for (unsigned c = 0; c < class_count; ++c) {
        EXPECT_EQ(json.lines[c].at("size"), s.by_size[c].size);
        EXPECT_EQ(json.lines[c].at("mallocs"), s.by_size[c].mallocs);
        EXPECT_EQ(json.lines[c].at("frees"), s.by_size[c].frees);
        EXPECT_EQ(json.lines[c].at("spans"), s.by_size[c].spans);
        EXPECT_EQ(json.lines[c].at("span_bytes"), s.by_size[c].span_bytes);
    }
    for (void* p : live) detail::deallocate(p);
}

TEST(Statistics, LargestValuesAreWrittenInFull) {
    heap_statistics s{};
    std::memset(static_cast<void*>(&s), 0xff, sizeof s);
    const std::string text = json_of(s);
    json_reader json(text);
    ASSERT_TRUE(json.reads_whole_text());
    EXPECT_EQ(json.numbers.at("total_alloc"), UINT64_MAX);
    EXPECT_EQ(json.lines[5].at("frees"), UINT64_MAX);
}

TEST(Statistics, TheTextHasALinePerFigureAndPerClassInUse) {
    void* p = detail::allocate(100);
    const heap_statistics s = read_statistics();
    std::string text(1 << 16, '\0');
    text.resize(write_statistics_text(s, text.data(), text.size()));
    EXPECT_EQ(text.rfind("steady heap\n", 0), 0u);
    EXPECT_NE(text.find(std::to_string(s.heap_alloc) + "  bytes of live objects\n"),
              std::string::npos);
    EXPECT_NE(text.find(std::to_string(s.threads) + "  threads with a cache\n"), std::string::npos);
    std::size_t classes = 0;
    for (const auto& line : s.by_size) classes += line.mallocs != 0;
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    EXPECT_EQ(lines, 1 + 22 + 1 + 1 + 1 + classes);  // title, figures, threads, blank, heads
    detail::deallocate(p);
}

TEST(Statistics, AShortBufferGetsTheBeginningAndNothingMore) {
    const heap_statistics s = read_statistics();
    using writer = std::size_t (*)(const heap_statistics&, char*, std::size_t) noexcept;
    for (const writer write : {writer{&write_statistics_text}, writer{&write_statistics_json}}) {
        std::vector<char> whole(1 << 16);
        const std::size_t length = write(s, whole.data(), whole.size());
        ASSERT_LT(length, whole.size() - 1);
        EXPECT_EQ(write(s, nullptr, 0), 0u);
        std::vector<char> part(length + 3);
        for (std::size_t capacity = 1; capacity <= length + 2; ++capacity) {
            part[capacity] = 'x';
            const std::size_t wrote = write(s, part.data(), capacity);
            ASSERT_EQ(wrote, std::min(length, capacity - 1));
            ASSERT_EQ(part[wrote], '\0');
            ASSERT_EQ(std::memcmp(part.data(), whole.data(), wrote), 0);
            ASSERT_EQ(part[capacity], 'x') << "wrote beyond a capacity of " << capacity;
        }
    }
}

TEST(Statistics, CachedBytesAreTheFreeObjectsBetweenProgramAndSpans) {
    static_cast<void>(trim());
    const heap_statistics before = read_statistics();
    EXPECT_EQ(before.cached_bytes, 0u);
    std::vector<void*> many;
    for (int i = 0; i < 3000; ++i) many.push_back(detail::allocate(1000));
    for (void* p : many) detail::deallocate(p);
    const heap_statistics after = read_statistics();
    EXPECT_GE(after.cached_bytes, 2u * 1024) << "the thread's own, at least";
    EXPECT_EQ(after.cached_bytes % 1024, 0u);
    static_cast<void>(trim());
    EXPECT_EQ(read_statistics().cached_bytes, 0u);
}

// Objects go from thread to thread while somebody reads: frees are never ahead of mallocs.
TEST(Statistics, NoDifferenceFallsBelowZeroWhileThreadsRun) {
    std::atomic<bool> stop{false};
    std::atomic<void*> slots[64]{};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            wyrand random(t);
            while (!stop) {
                const std::uint32_t kind = random.fastrandn(300);
                const std::size_t size = kind == 0 ? 3u << 20 : kind < 9 ? 50'000 : 64;
                void* p = detail::allocate(size);
                if (kind < 3) p = detail::reallocate(p, size / 2 * 3);
                detail::deallocate(slots[random.fastrandn(64)].exchange(p));
            }
        });
    }
    constexpr std::uint64_t absurd = std::uint64_t{1} << 45;
    for (int i = 0; i < 3000; ++i) {
        const heap_statistics s = read_statistics();
        ASSERT_GE(s.mallocs, s.frees) << i;
        ASSERT_GE(s.total_alloc, s.total_freed) << i;
        for (const auto& line : s.by_size) ASSERT_GE(line.mallocs, line.frees) << line.size;
        for (const std::uint64_t part : {s.heap_objects, s.heap_alloc, s.large_bytes, s.huge_alloc,
                                         s.other_sys, s.heap_inuse, s.heap_idle, s.cached_bytes})
            ASSERT_LT(part, absurd) << i;
    }
    stop = true;
    for (auto& t : threads) t.join();
    for (auto& slot : slots) detail::deallocate(slot.exchange(nullptr));
}

TEST(Statistics, ScavengedTotalIsWhatEveryoneGaveBack) {
    for (const std::size_t size : {std::size_t{700'000}, std::size_t{9} << 20}) {
        std::vector<void*> all;
        for (int i = 0; i < 10; ++i) all.push_back(std::memset(detail::allocate(size), 1, size));
        const heap_statistics before = read_statistics();
        for (void* p : all) detail::deallocate(p);
        const std::size_t released = trim();
        // Whatever the scavenger took in the meantime counts as well.
        const std::uint64_t total = read_statistics().scavenged_total - before.scavenged_total;
        EXPECT_GE(total, 10 * size);
        EXPECT_GE(total, released) << size;
    }
}

// The child has the parent's objects and one thread; the others' caches are nobody's.
TEST(Statistics, AForkedChildCountsItsParentsObjectsAndItsOwn) {
#if defined(STEADY_OS_TSAN)
    GTEST_SKIP() << "it starts no thread in a forked child";
#endif
    std::atomic<bool> stop{false};
    std::atomic<int> waiting{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            void* mine[100];
            for (void*& p : mine) p = detail::allocate(64);
            for (int i = 0; i < 50; ++i) detail::deallocate(mine[i]);
            ++waiting;
            while (!stop) std::this_thread::yield();
            for (int i = 50; i < 100; ++i) detail::deallocate(mine[i]);
        });
    }
    while (waiting != 3) std::this_thread::yield();
    const heap_statistics before = read_statistics();
    const pid_t child = fork();
    if (child == 0) {
        const heap_statistics same = read_statistics();
        if (same.mallocs != before.mallocs || same.frees != before.frees) _exit(1);
        if (same.heap_alloc != before.heap_alloc) _exit(2);
        if (same.threads != before.threads - 3) _exit(3);
        void* p = detail::allocate(64);
        std::thread([] { detail::deallocate(detail::allocate(100)); }).join();  // adopts the caches
        static_cast<void>(trim());
        const heap_statistics after = read_statistics();
        // An object that was on its way out of a cache stays out: one for each of the three.
        const std::uint64_t out = after.mallocs - before.mallocs - 2;
        if (out > 3 || after.frees != before.frees + 1) _exit(4);
        if (after.heap_alloc != before.heap_alloc + (out + 1) * 64) _exit(5);
        detail::deallocate(p);
        message why("test");
        if (!detail::audit_heap(why)) warn(why), _exit(6);
        _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "exit " << WEXITSTATUS(status);
    stop = true;
    for (auto& t : threads) t.join();
}

}  // namespace
