// hash_test.cpp - the default hash is good in every bit (A1), cannot be attacked
// without its seed in the ways its relatives can (A2), and is the same everywhere
// (A3); Go's hash is Go's, bit for bit.

#include "steady/core/hash.hpp"
#include "steady/core/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace steady;

// ---- A1: avalanche.

using key_bytes = std::vector<unsigned char>;

/// How far from one half the chance is that flipping one input bit flips one output
/// bit, in standard deviations of the count: the worst pair of bits of all.
template <class Hash, class NextKey>
double worst_bias(std::size_t size, int samples, Hash hash_of, NextKey next_key) {
    std::vector<std::array<int, 64>> flips(size * 8);
    key_bytes key(size);
    for (int s = 0; s < samples; ++s) {
        next_key(key, s);
        const std::uint64_t before = hash_of(key);
        for (std::size_t in = 0; in < size * 8; ++in) {
            const auto bit = static_cast<unsigned char>(1u << (in % 8));
            key[in / 8] ^= bit;
            const std::uint64_t changed = before ^ hash_of(key);
            key[in / 8] ^= bit;
            for (unsigned out = 0; out < 64; ++out) flips[in][out] += changed >> out & 1;
        }
    }
    double worst = 0;
    for (const auto& row : flips) {
        for (int n : row) worst = std::max(worst, std::abs(n - samples / 2.0));
    }
    return worst / (std::sqrt(static_cast<double>(samples)) / 2);
}

void random_key(key_bytes& key, int) {
    static wyrand random{1};
    for (auto& b : key) b = static_cast<unsigned char>(random.fastrand());
}

void counted_key(key_bytes& key, int n) {
    std::memcpy(key.data(), &n, std::min(key.size(), sizeof n));
}

std::uint64_t integer_of(const key_bytes& key) {
    return detail::read8(key.data());
}

// The largest of 64 * 64 normal deviations is about 4.2; 6.5 happens once in 10^7.
constexpr double allowed = 6.5;

TEST(Avalanche, EveryBitOfAnIntegerMovesEveryBitOfItsHash) {
    for (std::uint64_t seed :
         {default_seed, std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{}}) {
        const auto hashed = [=](const key_bytes& k) { return hash_integer(integer_of(k), seed); };
        EXPECT_LT(worst_bias(8, 20000, hashed, random_key), allowed) << "seed " << seed;
        EXPECT_LT(worst_bias(8, 20000, hashed, counted_key), allowed) << "seed " << seed;
    }
}

TEST(Avalanche, EveryBitOfTheSeedMovesEveryBitOfTheHash) {
    const auto integer = [](const key_bytes& k) { return hash_integer(12345, integer_of(k)); };
    const auto text = [](const key_bytes& k) { return hash_bytes("hello", 5, integer_of(k)); };
    EXPECT_LT(worst_bias(8, 20000, integer, random_key), allowed);
    EXPECT_LT(worst_bias(8, 20000, integer, counted_key), allowed);
    EXPECT_LT(worst_bias(8, 20000, text, random_key), allowed);
    EXPECT_LT(worst_bias(8, 20000, text, counted_key), allowed);
}

TEST(Avalanche, TheFinaliserMovesEveryBitToo) {
    const auto finalised = [](const key_bytes& k) { return finalise(integer_of(k)); };
    EXPECT_LT(worst_bias(8, 20000, finalised, random_key), allowed);
    EXPECT_LT(worst_bias(8, 20000, finalised, counted_key), allowed);
}

TEST(Avalanche, EveryBitOfAStringOfEveryLengthClassMovesEveryBitOfItsHash) {
    for (std::size_t size : {3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 48, 49, 64, 97}) {
        const auto hashed = [=](const key_bytes& k) { return hash_bytes(k.data(), size, 7); };
        const int samples = size <= 33 ? 4000 : 1500;
        EXPECT_LT(worst_bias(size, samples, hashed, random_key), allowed) << size << " bytes";
        EXPECT_LT(worst_bias(size, samples, hashed, counted_key), allowed) << size << " bytes";
    }
}

TEST(Avalanche, TheMeasureSeesABadHash) {
    const auto one_fold = [](const key_bytes& k) {
        return detail::fold(integer_of(k) ^ default_seed, detail::m2);
    };
    EXPECT_GT(worst_bias(8, 4000, one_fold, counted_key), 20)
        << "or the tests above would prove nothing";
}

TEST(Distribution, RegularKeysSpreadOverLowAndHighBitsLikeRandomOnes) {
    constexpr int keys = 1 << 16;
    for (int shift : {0, 3, 6, 12, 20, 32, 44, 48}) {
        for (int from : {0, 48}) {
            std::vector<int> load(keys);
            for (std::uint64_t i = 0; i < keys; ++i) {
                ++load[hash_integer(i << shift) >> from & (keys - 1)];
            }
            int empty = 0, longest = 0;
            for (int n : load) empty += n == 0, longest = std::max(longest, n);
            EXPECT_NEAR(empty, keys * std::exp(-1), 600) << "stride 2^" << shift;
            EXPECT_LE(longest, 12) << "stride 2^" << shift << ", bits from " << from;
        }
    }
}

TEST(Distribution, NumberedStringsDoNotCollide) {
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 100000; ++i) {
        const std::string key = "user:" + std::to_string(i);
        seen.insert(hash_bytes(key.data(), key.size()));
    }
    EXPECT_EQ(seen.size(), 100000u);
}

TEST(Finaliser, IsABijection) {
    const auto undo_shift = [](std::uint64_t y, int by) {
        std::uint64_t x = y;
        for (int known = by; known < 64; known += by) x = y ^ (x >> by);
        return x;
    };
    const auto inverse = [](std::uint64_t odd) {
        std::uint64_t x = odd;  // correct in 3 bits; each round doubles that
        for (int i = 0; i < 5; ++i) x *= 2 - odd * x;
        return x;
    };
    wyrand random{5};
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t x = random();
        std::uint64_t y = undo_shift(finalise(x), 31) * inverse(0x94d049bb133111eb);
        y = undo_shift(y, 27) * inverse(0xbf58476d1ce4e5b9);
        ASSERT_EQ(undo_shift(y, 30), x);
    }
}

// ---- A2: what an attacker who does not know the seed can try.

std::string words(std::initializer_list<std::uint64_t> list) {
    std::string out;
    for (std::uint64_t w : list) out.append(reinterpret_cast<const char*>(&w), sizeof w);
    return out;
}

std::uint64_t ours(const std::string& s, std::uint64_t seed) {
    return hash_bytes(s.data(), s.size(), seed);
}

std::uint64_t gos(const std::string& s, std::uint64_t seed) {
    return go::memhash_fallback(s.data(), seed, s.size(), 0x0123456789abcdef);
}

TEST(Attacks, NoWordMakesAFactorZeroOrOneForEverySeed) {
    for (std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x8f59a58e}}) {
        for (std::uint64_t m : {detail::m1, detail::m2, detail::m3, detail::m4, detail::m5}) {
            for (std::uint64_t chosen : {m, m ^ 1, ~m}) {
                std::set<std::uint64_t> got;
                for (std::uint64_t free = 0; free < 64; ++free) {
                    got.insert(ours(words({chosen, free, 0, 0}), seed));
                    got.insert(ours(words({free, chosen, 1, 1}), seed));
                    got.insert(ours(words({chosen, free}), seed));
                    got.insert(ours(words({free, chosen}), ~seed));
                }
                EXPECT_GE(got.size(), 255u) << "chosen word " << chosen;
            }
        }
    }
}

TEST(Attacks, TheSameWordMakesGosHashCollide) {
    const std::uint64_t one = gos(words({detail::m2, 1, 0, 0}), 99);
    EXPECT_EQ(gos(words({detail::m2, 2, 0, 0}), 99), one) << "the attack above is a real one";
}

TEST(Attacks, ExchangingTheLanesOfABlockChangesTheHash) {
    // Two lanes that start alike and are added up: the second text gives lane 0 what
    // lane 1 had, and the other way round.
    const std::uint64_t swap = detail::m2 ^ detail::m3;
    const auto one = words({11, 22, 33, 44, 55, 66, 77, 88});
    const auto two = words({33 ^ swap, 44, 11 ^ swap, 22, 55, 66, 77, 88});
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
        EXPECT_EQ(gos(one, seed), gos(two, seed)) << "the attack is a real one";
        EXPECT_NE(ours(one, seed), ours(two, seed));
    }
}

TEST(Attacks, KeysThatDifferInTheirLengthOnlyHashDifferently) {
    const std::string zeros(300, '\0');
    std::set<std::uint64_t> seen;
    for (std::size_t n = 0; n <= zeros.size(); ++n) seen.insert(hash_bytes(zeros.data(), n));
    EXPECT_EQ(seen.size(), zeros.size() + 1);
}

// ---- A3: the same everywhere.

std::string pattern() {
    std::string s;
    for (int i = 0; i < 200; ++i) s += static_cast<char>(i * 7 + 1);
    return s;
}

TEST(DefaultHash, GivesTheSameNumbersOnEveryMachine) {
    const struct {
        std::uint64_t key, plain, seeded;
    } integers[] = {
        {0x0, 0x1f4e718ac2099c13, 0x244356f4c9bf1c14},
        {0x1, 0x0964859d5015d47e, 0x0bd2785556c34499},
        {0xdeadbeefcafebabe, 0x4d523658daac7dfc, 0x75a5cf1ef5dac77c},
        {0xffffffffffffffff, 0x0317106626e8cd1f, 0xf5861a7e77c30078},
    };
    for (const auto& v : integers) {
        EXPECT_EQ(hash_integer(v.key), v.plain);
        EXPECT_EQ(hash_integer(v.key, 42), v.seeded);
    }
    const struct {
        std::size_t size;
        std::uint64_t hash;
    } strings[] = {
        {0, 0x2e33e08230f75863},   {1, 0x015470f4f879fb41},  {2, 0x72baecd8f7303956},
        {3, 0x6a590668ea4d7f72},   {4, 0xa0a7bdd4db8cbced},  {7, 0xc69db80657779e47},
        {8, 0x9e464ee394ff8fdb},   {9, 0xe048f6010e9340b6},  {16, 0x76c6c08600ae9a98},
        {17, 0x198a5a9493f8dc92},  {32, 0x9dee740d9ab29a7c}, {33, 0xfb55495c2ef7a6ff},
        {48, 0x5bf95c7c24d43196},  {49, 0xf65d9236c6d1ecb0}, {64, 0x0cc3adec69e3b2ab},
        {96, 0x8e6139b2d76431ef},  {97, 0xcd317feb9e5c8766}, {145, 0x7fa169e4bd0efebb},
        {200, 0xbc0c25f9842fc119},
    };
    const std::string bytes = pattern();
    for (const auto& v : strings) {
        EXPECT_EQ(hash_bytes(bytes.data(), v.size, 42), v.hash) << v.size << " bytes";
    }
}

TEST(DefaultHash, DoesNotDependOnTheAddressOrOnWhatLiesAround) {
    const std::string bytes = pattern();
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const std::uint64_t expected = hash_bytes(bytes.data(), size);
        for (std::size_t offset = 0; offset < 9; ++offset) {
            std::string moved(offset, '#');
            moved.append(bytes, 0, size).append("##");
            ASSERT_EQ(hash_bytes(moved.data() + offset, size), expected) << size;
        }
    }
    EXPECT_EQ(hash_bytes(nullptr, 0), hash_bytes("", 0));
}

TEST(DefaultHash, EveryByteCounts) {
    std::string bytes = pattern();
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        const std::uint64_t before = hash_bytes(bytes.data(), size);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
            ASSERT_NE(hash_bytes(bytes.data(), size), before) << "byte " << i << " of " << size;
            bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
        }
    }
}

// ---- hash<T>.

enum class colour : std::uint8_t { red, green };

template <class H>
concept avalanching = requires {
    typename H::is_avalanching;
};
template <class H>
concept transparent = requires {
    typename H::is_transparent;
};

TEST(HashOf, IntegersEnumsAndPointersHashAsTheirValue) {
    static_assert(hash<int>{}(7) == hash_integer(7));
    static_assert(hash<colour>{}(colour::green) == hash_integer(1));
    static_assert(hash<char>{}('a', 5) == hash_integer('a', 5));
    static_assert(hash<bool>{}(true) == hash_integer(1));
    static_assert(hash<int>{}(-1) == hash<long>{}(-1));
    int x = 0;
    EXPECT_EQ(hash<int*>{}(&x), hash_integer(reinterpret_cast<std::uintptr_t>(&x)));
    EXPECT_EQ(hash<const int*>{}(&x), hash<int*>{}(&x));
    EXPECT_NE(hash<int>{}(1, 1), hash<int>{}(1, 2)) << "seeds matter";
}

TEST(HashOf, StringsHashAlikeInAllTheirForms) {
    const std::string s = "a string that is longer than sixteen bytes";
    const std::uint64_t expected = hash_bytes(s.data(), s.size());
    EXPECT_EQ(hash<std::string>{}(s), expected);
    EXPECT_EQ(hash<std::string>{}(std::string_view{s}), expected);
    EXPECT_EQ(hash<std::string>{}(s.c_str()), expected);
    EXPECT_EQ(hash<std::string_view>{}(s), expected);
    EXPECT_EQ(hash<std::string>{}(s, 9), hash_bytes(s.data(), s.size(), 9));
    static_assert(transparent<hash<std::string>> && transparent<hash<std::string_view>>);
    static_assert(!transparent<hash<int>>);
}

TEST(HashOf, EachOneSaysThatItMixes) {
    static_assert(avalanching<hash<int>> && avalanching<hash<colour>> && avalanching<hash<int*>>);
    static_assert(avalanching<hash<std::string>> && avalanching<hash<std::string_view>>);
}

// ---- Go's hash. The numbers were printed by go1.19.8 on linux/amd64: a program
// took runtime.memhashFallback, memhash32Fallback and memhash64Fallback by
// go:linkname, set runtime.hashkey[0] to 0x0123456789abcdef, and hashed the first n
// bytes of b[i] = byte(i*7 + 1), with the seed 0x8f59a58e.

constexpr std::uint64_t go_key = 0x0123456789abcdef;
constexpr std::uint64_t go_seed = 0x8f59a58e;

TEST(GoHash, BytesHashAsInGosRuntime) {
    const struct {
        std::size_t size;
        std::uint64_t hash;
    } vectors[] = {
        {0, 0xa15558037e4f0c4e},   {1, 0x5541d3d81760d3ea},   {2, 0xbd6a9cff2f3b6669},
        {3, 0x756753fc88687b22},   {4, 0xb2e3a35ad4825101},   {5, 0x9ae3525ad99b9287},
        {7, 0x57e8b8018d3ed636},   {8, 0x718903d921c808c0},   {9, 0x5b999b2a62a8e985},
        {12, 0x6f190119675e151f},  {15, 0x5fcc0a29067acbf0},  {16, 0xcf12612842ce150f},
        {17, 0x4fdc9ae895892fb1},  {31, 0xd2491fef35fee823},  {32, 0x022310f1790af283},
        {33, 0xa82952afc57dcc6d},  {47, 0xcd24c56c1f389cca},  {48, 0xb382a5904016dec5},
        {49, 0x08361883309026fc},  {64, 0x318f1b0ac8eac74a},  {65, 0x3756e27eec86c8b9},
        {96, 0xe3621d79aefd7284},  {97, 0xe1e4654bbd412e98},  {144, 0x4c869ce9d419c74c},
        {145, 0x171ff5ea4bdac04f}, {199, 0x146d7421dbefd16a},
    };
    const std::string bytes = pattern();
    for (const auto& v : vectors) {
        EXPECT_EQ(go::memhash_fallback(bytes.data(), go_seed, v.size, go_key), v.hash)
            << v.size << " bytes";
    }
}

TEST(GoHash, FourAndEightByteKeysHashAsInGosRuntime) {
    const struct {
        std::uint32_t key;
        std::uint64_t hash;
    } small[] = {
        {0x0, 0x8c4013e243ba02e6},
        {0x1, 0x498d0becc7db4cee},
        {0xdeadbeef, 0xba5bc166fbd3af63},
        {0xffffffff, 0x23807d2715ced6f7},
    };
    for (const auto& v : small) {
        EXPECT_EQ(go::memhash32_fallback(v.key, go_seed, go_key), v.hash);
        EXPECT_EQ(go::memhash_fallback(&v.key, go_seed, 4, go_key), v.hash);
    }
    const struct {
        std::uint64_t key, hash;
    } large[] = {
        {0x0, 0xd75343f04b67dcec},
        {0x1, 0x8acac255d1c29283},
        {0xdeadbeefcafebabe, 0x9489c631ab91c383},
        {0xe7037ed1a0b428db, 0x0000000000000000},  // m2: the zero factor
        {0xffffffffffffffff, 0xec0a42b415b3aeab},
    };
    for (const auto& v : large) {
        EXPECT_EQ(go::memhash64_fallback(v.key, go_seed, go_key), v.hash);
        EXPECT_EQ(go::memhash_fallback(&v.key, go_seed, 8, go_key), v.hash);
    }
}

}  // namespace
