// exceptions_test.cpp - every allocation fails once, every copy, hash and comparison
// throws once: what a failed operation leaves behind is the map as it was before.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <gtest/gtest.h>

#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

/// Something goes wrong after so many chances; negative: never.
struct fuse {
    static inline long left = -1;
    static inline long alive = 0;      // counted values
    static inline long allocated = 0;  // bytes
    static bool blows() { return left >= 0 && left-- == 0; }
};

template <class T>
struct failing_allocator {
    using value_type = T;
    failing_allocator() noexcept = default;
    template <class U>
    failing_allocator(const failing_allocator<U>&) noexcept {}
    T* allocate(std::size_t n) {
        if (fuse::blows()) throw std::bad_alloc();
        fuse::allocated += static_cast<long>(n * sizeof(T));
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        fuse::allocated -= static_cast<long>(n * sizeof(T));
        std::allocator<T>().deallocate(p, n);
    }
    friend bool operator==(const failing_allocator&, const failing_allocator&) { return true; }
};

/// Counts itself; copying may throw, and so may moving when it is asked to.
template <bool MoveThrows>
struct counted {
    std::uint64_t n;
    explicit counted(std::uint64_t value) : n(value) { ++fuse::alive; }
    counted(const counted& other) : n(other.n) {
        if (fuse::blows()) throw std::runtime_error("copy");
        ++fuse::alive;
    }
    counted(counted&& other) noexcept(!MoveThrows) : n(other.n) {
        if constexpr (MoveThrows) {
            if (fuse::blows()) throw std::runtime_error("move");
        }
        ++fuse::alive;
    }
    ~counted() { --fuse::alive; }
    friend bool operator==(const counted& a, const counted& b) { return a.n == b.n; }
};

template <class Counted>
struct counted_hash {
    std::size_t operator()(const Counted& key) const { return key.n * 0x9e3779b97f4a7c15; }
};

template <class Key, class Value>
using failing_map = steady::map<Key, Value, counted_hash<Key>, std::equal_to<Key>,
                                failing_allocator<std::pair<const Key, Value>>>;

/// Inserts keys one by one; each insertion is made to fail at its first chance, its second,
/// and so on, until it succeeds. After each failure nothing has changed.
template <class Key, class Value>
void every_chance_fails_once(std::uint64_t n) {
    {
        failing_map<Key, Value> m;
        long failures = 0;
        for (std::uint64_t i = 0; i < n; ++i) {
            const Key key(i);
            const Value value(i * 3);
            for (long chance = 0;; ++chance) {
                const long alive = fuse::alive;
                fuse::left = chance;
                try {
                    const bool made = m.try_emplace(key, value).second;
                    fuse::left = -1;
                    ASSERT_TRUE(made);
                    break;
                } catch (const std::exception&) {
                    fuse::left = -1;
                    ++failures;
                    ASSERT_EQ(fuse::alive, alive);
                    ASSERT_EQ(m.size(), i);
                    ASSERT_FALSE(m.contains(key));
                    if (i % 64 == 0 || chance > 2) m.check();
                }
            }
            if (i % 256 == 0) {
                for (std::uint64_t k = 0; k <= i; ++k) {
                    const auto found = m.find(Key(k));
                    ASSERT_NE(found, m.end());
                    ASSERT_EQ(found->second.n, k * 3);
                }
            }
        }
        m.check();
        EXPECT_GE(failures, static_cast<long>(n)) << "or nothing was made to fail";
        // Erasing does not throw, even where shrinking would need memory.
        for (std::uint64_t i = 0; i < n; ++i) {
            const Key key(i);
            fuse::left = 0;
            const std::size_t erased = m.erase(key);
            fuse::left = -1;
            ASSERT_EQ(erased, 1u);
        }
        m.check();
    }
    EXPECT_EQ(fuse::alive, 0);
    EXPECT_EQ(fuse::allocated, 0);
}

TEST(Exceptions, AFailedInsertionChangesNothing) {
    every_chance_fails_once<counted<false>, counted<false>>(3000);
}
TEST(Exceptions, TypesWhoseMovesThrowLieOutOfLineAndAreSafe) {
    using slot = failing_map<counted<true>, counted<true>>::table_type::slot_type;
    static_assert(slot::is_node);
    every_chance_fails_once<counted<true>, counted<true>>(3000);
}

/// All keys in one chain, so that splits need chained blocks.
struct one_home {
    std::size_t operator()(std::uint64_t) const noexcept { return 7; }
};

TEST(Exceptions, ASplitThatGetsNoMemoryForChainsChangesNothing) {
    {
        steady::map<std::uint64_t, std::uint64_t, one_home, std::equal_to<std::uint64_t>,
                    failing_allocator<std::pair<const std::uint64_t, std::uint64_t>>>
            m;
        for (std::uint64_t i = 0; i < 1500; ++i) {
            for (long chance = 0;; ++chance) {
                fuse::left = chance;
                try {
                    m.try_emplace(i, i);
                    fuse::left = -1;
                    break;
                } catch (const std::bad_alloc&) {
                    fuse::left = -1;
                    ASSERT_EQ(m.size(), i);
                    m.check();
                }
            }
        }
        for (std::uint64_t i = 0; i < 1500; ++i) ASSERT_TRUE(m.contains(i));
    }
    EXPECT_EQ(fuse::allocated, 0);
}

TEST(Exceptions, AFailedCopyLeaksNothing) {
    {
        failing_map<counted<false>, counted<false>> m;
        for (std::uint64_t i = 0; i < 700; ++i) m.try_emplace(counted<false>(i), i);
        const long alive = fuse::alive, allocated = fuse::allocated;
        for (long chance = 0; chance < 2000; chance += 1 + chance / 20) {
            fuse::left = chance;
            try {
                const failing_map<counted<false>, counted<false>> copy(m);
                fuse::left = -1;
                EXPECT_EQ(copy.size(), 700u);
            } catch (const std::exception&) {
                fuse::left = -1;
            }
            ASSERT_EQ(fuse::alive, alive);
            ASSERT_EQ(fuse::allocated, allocated);
        }
        EXPECT_EQ(m.size(), 700u);
        m.check();
    }
    EXPECT_EQ(fuse::alive, 0);
}

struct throwing_equal {
    bool operator()(std::uint64_t a, std::uint64_t b) const {
        if (fuse::blows()) throw std::runtime_error("compare");
        return a == b;
    }
};
struct throwing_hash {
    std::size_t operator()(std::uint64_t n) const {
        if (fuse::blows()) throw std::runtime_error("hash");
        return n;
    }
};

TEST(Exceptions, AHashOrComparisonThatThrowsChangesNothing) {
    steady::map<std::uint64_t, int, throwing_hash, throwing_equal> m;
    for (std::uint64_t i = 0; i < 1000; ++i) m.try_emplace(i, 1);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        for (long chance = 0; chance < 2; ++chance) {
            fuse::left = chance;
            EXPECT_THROW(m.erase(i), std::runtime_error);
            fuse::left = -1;
        }
    }
    EXPECT_EQ(m.size(), 1000u);
    m.check();
}

TEST(Exceptions, AtSaysWhatToDoInstead) {
    const steady::map<int, int> m;
    try {
        (void)m.at(3);
        FAIL() << "no exception";
    } catch (const std::out_of_range& e) {
        EXPECT_NE(std::string(e.what()).find("contains()"), std::string::npos);
    }
}

}  // namespace
