// slice_model_test.cpp - random operations on many slices, mirrored in a model that
// knows Go's rules and nothing else: arrays that are shared, views of them, and when
// append moves to a new one. After each operation the view that changed is compared, its
// capacity included; now and then everything is, with the counts of all arrays.
//
//   STEADY_MODEL_OPERATIONS   how many in all; 12 million in a release build unless told
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "slice/tracked.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/statistics.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/search.hpp"

namespace {

using namespace steady;
using test::tracked;

template <class T>
T value_of(std::uint64_t n) {
    if constexpr (std::is_same_v<T, tracked>) {
        return tracked(std::to_string(n % 1000) +
                       (n % 7 == 0 ? " and a text too long for the string itself" : ""));
    } else if constexpr (std::is_same_v<T, void*>) {
        return reinterpret_cast<void*>(n);
    } else {
        return static_cast<T>(n);
    }
}

// Go's view of the world: an array is its elements up to the capacity it was made with.
template <class T>
struct model_slice {
    std::shared_ptr<std::vector<T>> array;
    std::ptrdiff_t at = 0, len = 0, cap = 0;

    T& element(std::ptrdiff_t i) const { return (*array)[static_cast<std::size_t>(at + i)]; }
};

// growslice once more, from its description: class sizes searched, not looked up.
std::ptrdiff_t go_capacity(std::size_t size, std::ptrdiff_t old, std::ptrdiff_t need) {
    std::ptrdiff_t cap = old;
    if (need > 2 * old) {
        cap = need;
    } else if (old < 256) {
        cap = 2 * old;
    } else {
        while (cap < need) cap += (cap + 768) / 4;
    }
    std::size_t bytes = static_cast<std::size_t>(cap) * size;
    std::size_t rounded = (bytes + 8191) / 8192 * 8192;
    for (std::size_t c = class_count; c-- > 1;)
        if (class_size[c] >= bytes) rounded = class_size[c];
    return static_cast<std::ptrdiff_t>(rounded / size);
}

template <class T>
class world {
public:
    explicit world(std::uint64_t seed) : random_(seed), real_(slots), model_(slots) {}

    void step() {
        const auto a = random_.fastrandn(slots), b = random_.fastrandn(slots);
        slice<T>& s = real_[a];
        model_slice<T>& m = model_[a];
        switch (random_.fastrandn(20)) {
            case 0: make(s, m); break;
            case 1: s = nullptr, m = {}; break;
            case 2: s = real_[b], m = model_[b]; break;
            case 3:
            case 4: cut(real_[b], model_[b], s, m); break;
            case 5: append_slice(s, m, real_[b], model_[b]); break;
            case 6: {
                s = append(real_[b], value_of<T>(++counter_));
                m = model_[b];
                append_value(m, value_of<T>(counter_));
                break;
            }
            case 7: write(s, m); break;
            case 8: {
                EXPECT_EQ(copy(s, real_[b]), copy_model(m, model_[b]));
                break;
            }
            case 9: grow_both(s, m); break;
            case 10: s.clip(), m.cap = m.len; break;
            case 11: remove_some(s, m); break;
            case 12: insert_some(s, m); break;
            case 13: s = std::exchange(real_[b], nullptr), m = std::exchange(model_[b], {}); break;
            default: {
                s.append(value_of<T>(++counter_));
                append_value(m, value_of<T>(counter_));
                break;
            }
        }
        if (m.cap > 5000) s = nullptr, m = {};
        compare(a);
    }

    void compare_all() {
        detail::settle_lone_counts();  // so that counters are the truth (LC2)
        for (std::uint32_t i = 0; i < slots; ++i) {
            compare(i);
            const model_slice<T>& m = model_[i];
            if (m.array == nullptr || real_[i].retained() == 0) continue;
            // Arrays of less than 16 bytes may share a block, so theirs is at least this.
            const auto count = detail::share_count(real_[i].data())->load();
            const auto users = static_cast<std::uint32_t>(m.array.use_count());
            if (real_[i].retained() <= 16) {
                ASSERT_GE(count, users);
            } else {
                ASSERT_EQ(count, users) << "AR1";
            }
        }
    }

private:
    static constexpr std::uint32_t slots = 24;

    void compare(std::uint32_t i) {
        const slice<T>& s = real_[i];
        const model_slice<T>& m = model_[i];
        ASSERT_EQ(s.len(), m.len);
        ASSERT_EQ(s.cap(), m.cap);
        for (std::ptrdiff_t k = 0; k < m.len; ++k) {
            // Long ones are looked at here and there.
            if (k > 40 && k + 40 < m.len && (k & 31) != 0) continue;
            ASSERT_TRUE(s.data()[k] == m.element(k)) << k << " of " << m.len;
            if constexpr (std::is_same_v<T, tracked>) {
                ASSERT_TRUE(s.data()[k].sound());
            }
        }
    }

    static std::shared_ptr<std::vector<T>> new_array(std::ptrdiff_t cap) {
        return std::make_shared<std::vector<T>>(static_cast<std::size_t>(cap));
    }
    // A place for need elements; `carried` of them come along.
    void make_room(model_slice<T>& m, std::ptrdiff_t need, std::ptrdiff_t carried) {
        if (need <= m.cap) return;
        const std::ptrdiff_t cap = go_capacity(sizeof(T), m.cap, need);
        auto array = new_array(cap);
        for (std::ptrdiff_t i = 0; i < carried; ++i)
            (*array)[static_cast<std::size_t>(i)] = m.element(i);
        m = {array, 0, m.len, cap};
    }
    void append_value(model_slice<T>& m, const T& value) {
        make_room(m, m.len + 1, m.len);
        m.element(m.len++) = value;
    }
    void make(slice<T>& s, model_slice<T>& m) {
        const auto cap =
            static_cast<std::ptrdiff_t>(random_.fastrandn(random_.fastrandn(8) == 0 ? 3000 : 40));
        const auto len =
            static_cast<std::ptrdiff_t>(random_.fastrandn(static_cast<std::uint32_t>(cap) + 1));
        s = make_slice<T>(len, cap);
        m = {new_array(cap), 0, len, cap};
    }
    void cut(const slice<T>& from, const model_slice<T>& from_model, slice<T>& s,
             model_slice<T>& m) {
        const auto max = random(from_model.cap), hi = random(max), lo = random(hi);
        const bool three = random_.fastrandn(2) == 0;
        model_slice<T> part = from_model;
        part.at += lo;
        part.len = hi - lo;
        part.cap = three ? max - lo : from_model.cap - lo;
        s = three ? from.sub(lo, hi, max) : from.sub(lo, hi);
        m = part;
    }
    void append_slice(slice<T>& s, model_slice<T>& m, const slice<T>& other,
                      const model_slice<T>& o) {
        std::vector<T> values;
        for (std::ptrdiff_t i = 0; i < o.len; ++i) values.push_back(o.element(i));
        const model_slice<T> keep = o;
        make_room(m, m.len + keep.len, m.len);
        for (const T& value : values) m.element(m.len++) = value;
        s.append(other);
    }
    void write(slice<T>& s, model_slice<T>& m) {
        if (m.len == 0) return;
        const auto i = random(m.len - 1);
        s[i] = value_of<T>(++counter_);
        m.element(i) = value_of<T>(counter_);
    }
    std::ptrdiff_t copy_model(model_slice<T>& to, const model_slice<T>& from) {
        const std::ptrdiff_t n = std::min(to.len, from.len);
        std::vector<T> values;
        for (std::ptrdiff_t i = 0; i < n; ++i) values.push_back(from.element(i));
        for (std::ptrdiff_t i = 0; i < n; ++i) to.element(i) = values[static_cast<std::size_t>(i)];
        return n;
    }
    void grow_both(slice<T>& s, model_slice<T>& m) {
        const auto n = static_cast<std::ptrdiff_t>(random_.fastrandn(50));
        s.grow(n);
        make_room(m, m.len + n, detail::is_plain<T> ? m.cap : m.len);
    }
    void remove_some(slice<T>& s, model_slice<T>& m) {
        const auto j = random(m.len), i = random(j);
        s = remove(std::move(s), i, j);
        for (std::ptrdiff_t k = j; k < m.len; ++k) m.element(i + k - j) = m.element(k);
        for (std::ptrdiff_t k = m.len - (j - i); k < m.len; ++k) m.element(k) = T();
        m.len -= j - i;
    }
    void insert_some(slice<T>& s, model_slice<T>& m) {
        const auto i = random(m.len);
        s = insert(std::move(s), i, value_of<T>(counter_ + 1), value_of<T>(counter_ + 2));
        make_room(m, m.len + 2, m.len);
        for (std::ptrdiff_t k = m.len; k-- > i;) m.element(k + 2) = m.element(k);
        m.element(i) = value_of<T>(++counter_);
        m.element(i + 1) = value_of<T>(++counter_);
        m.len += 2;
    }
    std::ptrdiff_t random(std::ptrdiff_t most) {
        return static_cast<std::ptrdiff_t>(random_.fastrandn(static_cast<std::uint32_t>(most) + 1));
    }

    wyrand random_;
    std::vector<slice<T>> real_;
    std::vector<model_slice<T>> model_;
    std::uint64_t counter_ = 0;
};

std::uint64_t operations() {
    if (const char* text = std::getenv("STEADY_MODEL_OPERATIONS"))
        return std::strtoull(text, nullptr, 10);
    return STEADY_CHECK == 0 ? 12'000'000 : 200'000;
}

template <class T>
void run(std::uint64_t parts) {
    detail::forget_tiny_block();
    const std::uint64_t before = read_statistics().heap_objects;
    {
        world<T> w(42);
        for (std::uint64_t i = 0; i < operations() / parts; ++i) {
            w.step();
            if (i % 512 == 0) w.compare_all();
            if (testing::Test::HasFatalFailure()) FAIL() << "operation " << i;
        }
        w.compare_all();
    }
    detail::forget_tiny_block();
    EXPECT_EQ(read_statistics().heap_objects, before) << "every array was freed";
}

TEST(Model, Int64) {
    run<std::int64_t>(2);
}
TEST(Model, BytesThatShareBlocks) {
    run<std::uint8_t>(6);
}
TEST(Model, Pointers) {
    run<void*>(6);
}
TEST(Model, ElementsWithConstructors) {
    run<tracked>(6);
    EXPECT_EQ(tracked::alive, 0);
}

}  // namespace
