// map_model_test.cpp - random operations on go::map and on std::unordered_map, and the
// two compared: every result at once, the whole contents now and then.
//
// Ten million operations in a release build, spread over the kinds of layout: keys and
// elems inline, behind pointers, trivial and not, with a good hash and with a bad one.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "go/map_types.hpp"
#include "steady/core/random.hpp"
#include "steady/go/map.hpp"

namespace {

using steady::splitmix64;
using steady::go::map;
using namespace steady::test;

// For each of the eleven types below; builds that check take fewer.
#if defined(NDEBUG) && (!defined(STEADY_CHECK) || STEADY_CHECK < 2)
constexpr std::uint64_t operations = 1'000'000;
#else
constexpr std::uint64_t operations = 60'000;
#endif

/// Sixteen buckets and a few top bytes: long chains, equal tophashes.
struct bad_hash {
    std::size_t operator()(std::uint64_t key, std::uint64_t) const noexcept {
        return (key * 0x9e3779b97f4a7c15) & 0xe00000000000000f;
    }
};

template <class T>
T value(std::uint64_t n) {
    if constexpr (std::is_same_v<T, std::string>) {
        return n % 2 == 0 ? std::to_string(n) : std::string(20 + n % 20, 'a') + std::to_string(n);
    } else if constexpr (std::is_same_v<T, std::array<std::uint64_t, 20>>) {
        return {n, n + 1, n + 2};
    } else if constexpr (std::is_same_v<T, std::monostate>) {
        return {};
    } else {
        return T(n);
    }
}
struct std_hash {
    std::size_t operator()(const std::string& s) const { return std::hash<std::string>{}(s); }
    std::size_t operator()(std::uint64_t n) const { return n; }
    template <bool N>
    std::size_t operator()(const tracked<N>& t) const {
        return t.value;
    }
    std::size_t operator()(const std::array<std::uint64_t, 20>& a) const { return a[0]; }
};
}  // namespace
template <>
inline constexpr bool steady::go::hash_as_bytes<std::array<std::uint64_t, 20>> = true;
namespace {

template <class Map>
class GoModel : public testing::Test {};
using models =
    testing::Types<map<std::uint64_t, std::uint64_t>, map<std::uint64_t, std::uint64_t, bad_hash>,
                   map<std::uint32_t, std::uint32_t>, map<std::uint16_t, std::uint8_t>,
                   map<std::string, std::uint64_t>, map<std::uint64_t, std::string>,
                   map<std::string, std::string>, map<tracked<true>, tracked<true>, hash_tracked>,
                   map<tracked<false>, tracked<false>, hash_tracked>,
                   map<std::array<std::uint64_t, 20>, std::array<std::uint64_t, 20>>,
                   map<std::uint64_t, std::monostate>>;
TYPED_TEST_SUITE(GoModel, models);

template <class Map, class Model>
void compare_contents(const Map& m, const Model& model) {
    ASSERT_EQ(m.size(), model.size());
    std::size_t walked = 0;
    for (auto& [key, elem] : m) {
        const auto it = model.find(key);
        ASSERT_NE(it, model.end());
        ASSERT_TRUE(it->second == elem);
        ++walked;
    }
    ASSERT_EQ(walked, model.size());
    m.check();
}

TYPED_TEST(GoModel, AgreesWithTheStandardMap) {
    using K = typename TypeParam::key_type;
    using V = typename TypeParam::mapped_type;
    {
        auto m = TypeParam::make();
        std::unordered_map<K, V, std_hash> model;
        splitmix64 draws{std::hash<std::string_view>{}(typeid(TypeParam).name()) | 1};
        std::uint64_t key_space = 100;
        unsigned sets = 500;  // of a thousand operations
        for (std::uint64_t i = 0; i < operations; ++i) {
            if (i % (operations / 20) == 0) {
                compare_contents(m, model);
                key_space = 50 + draws.next() % 20'000;
                sets = static_cast<unsigned>(100 + draws.next() % 700);
                if (draws.next() % 6 == 0) {
                    m.clear();
                    model.clear();
                }
            }
            const K key = value<K>(draws.next() % key_space);
            const V elem = value<V>(draws.next());
            const unsigned what = draws.next() % 1000;
            if (what < sets / 2) {
                m.assign(key, elem);
                model.insert_or_assign(key, elem);
            } else if (what < sets * 3 / 4) {
                const auto [at, added] = m.try_emplace(key, elem);
                ASSERT_EQ(added, model.try_emplace(key, elem).second);
                ASSERT_TRUE(at->first == key);
            } else if (what < sets) {
                m[key] = elem;
                model[key] = elem;
            } else if (what < 900) {
                ASSERT_EQ(m.erase(key), model.erase(key));
            } else {
                const V* const found = m.lookup(key);
                const auto it = model.find(key);
                ASSERT_EQ(found != nullptr, it != model.end());
                if (found != nullptr) {
                    ASSERT_TRUE(*found == it->second);
                }
            }
        }
        compare_contents(m, model);
        const auto copy = m.clone();
        ASSERT_TRUE(copy == m);
    }
    EXPECT_EQ(tracked<true>::living, 0);
    EXPECT_EQ(tracked<false>::living, 0);
}

/// A window of fresh keys: the only way to the growth that keeps the size.
TEST(GoModelWindow, LeavesNoOverflowBucketsBehind) {
    auto m = map<std::uint64_t, std::string>::make();
    constexpr std::uint64_t window = 780;
    unsigned same_size = 0;
    bool growing = false;
    for (std::uint64_t i = 0; i < 120'000; ++i) {
        m.assign(i, "elem");
        if (i >= window) {
            ASSERT_EQ(m.erase(i - window), 1u);
        }
        const bool now = m.header()->oldbuckets != nullptr && (m.header()->flags & 8) != 0;
        same_size += now && !growing;
        growing = now;
    }
    EXPECT_GT(same_size, 3u) << "or the window was too small to fill the chains with holes";
    EXPECT_EQ(m.header()->B, 7);
    EXPECT_EQ(m.size(), window);
    m.check();
}

}  // namespace
