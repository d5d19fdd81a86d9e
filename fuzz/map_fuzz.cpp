// map_fuzz.cpp - any sequence of operations on steady::map, beside std::unordered_map.
//
//   input bytes ->  operation, key (2), ...   (missing: 0)
//
// The first byte of the input chooses how keys hash: well, to 16 values, or to one, so
// that chains and tidying come up in short inputs. Operations in bulk make the map large
// enough to split and merge. A walk that is under way across operations checks Go's rules:
// nobody twice, nobody erased, everybody who stays.
//
// A broken promise prints its name and aborts, so it works under libFuzzer and in the
// replay alike.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "steady/map/map.hpp"

namespace {

#define FUZZ_EXPECT(condition, promise)                                                     \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            std::fprintf(stderr, "map: %s\n  expected: %s\n  %s:%d\n", promise, #condition, \
                         __FILE__, __LINE__);                                               \
            std::abort();                                                                   \
        }                                                                                   \
    } while (false)

struct chosen_hash {
    static inline unsigned kind = 0;
    std::size_t operator()(std::uint32_t key) const noexcept {
        return kind == 0 ? key : kind == 1 ? key % 16 : 7;
    }
};

class map_model {
public:
    using map = steady::map<std::uint32_t, std::string, chosen_hash>;

    map_model(const std::uint8_t* data, std::size_t size) : data_{data}, left_{size} {}

    void run() {
        chosen_hash::kind = byte() % 3;
        // Chains make every operation as long as the map.
        limit_ = chosen_hash::kind == 0 ? 6000 : 700;
        for (int n = 0; left_ > 0 && n < 150; ++n) one_operation();
        map_.check();
        compare_everything();
    }

private:
    std::uint8_t byte() {
        if (left_ == 0) return 0;
        --left_;
        return *data_++;
    }
    std::uint32_t key() {
        const std::uint32_t low = byte();
        return (low | std::uint32_t{byte()} << 8) % 8192;
    }
    static std::string value_of(std::uint32_t n) {
        return std::string(n % 40, static_cast<char>('a' + n % 26));
    }

    void insert(std::uint32_t k, std::uint32_t n) {
        if (model_.size() >= limit_) return;
        const auto mine = map_.try_emplace(k, value_of(n));
        const auto theirs = model_.try_emplace(k, value_of(n));
        FUZZ_EXPECT(mine.second == theirs.second, "an entry is made when the key is absent");
        FUZZ_EXPECT(mine.first->second == theirs.first->second, "the entry has its value");
    }
    void erase(std::uint32_t k) {
        FUZZ_EXPECT(map_.erase(k) == model_.erase(k), "erase finds what is there");
        present_.erase(k);
    }
    void step_of_walk() {
        if (!walking_) {
            walk_.emplace(map_.walk());
            walking_ = true;
            present_.clear();
            seen_.clear();
            for (const auto& [k, v] : model_) present_.insert(k);
        }
        for (int i = 0; i < 20; ++i) {
            if (!walk_->next()) {
                // With chains, keys have equal hashes, and no order (see walker.hpp).
                if (chosen_hash::kind == 0) {
                    for (const std::uint32_t k : present_) {
                        FUZZ_EXPECT(seen_.contains(k), "W1: who stays is visited");
                    }
                }
                walking_ = false;
                return;
            }
            const std::uint32_t k = (*walk_)->first;
            FUZZ_EXPECT(model_.contains(k), "W2: who was erased is not visited");
            const bool first = seen_.insert(k).second;
            if (chosen_hash::kind == 0 && present_.contains(k)) {
                FUZZ_EXPECT(first, "W1: nobody is visited twice");
            }
        }
    }
    void one_operation() {
        switch (byte() % 16) {
            case 0:
            case 1:
            case 2: insert(key(), byte()); break;
            case 3:
            case 4: erase(key()); break;
            case 5: {
                const std::uint32_t k = key();
                const auto mine = map_.find(k);
                const auto theirs = model_.find(k);
                FUZZ_EXPECT((mine == map_.end()) == (theirs == model_.end()), "find finds");
                if (theirs != model_.end()) {
                    FUZZ_EXPECT(mine->second == theirs->second, "what it finds is right");
                }
                break;
            }
            case 6: {
                const std::uint32_t from = key(), count = byte() * 8u;
                for (std::uint32_t i = 0; i < count; ++i) insert((from + i) % 8192, i);
                break;
            }
            case 7: {
                const std::uint32_t from = key(), count = byte() * 8u;
                for (std::uint32_t i = 0; i < count; ++i) erase((from + i) % 8192);
                break;
            }
            case 8: {
                const std::uint32_t k = key();
                map_[k] = "assigned";
                model_[k] = "assigned";
                break;
            }
            case 9: {  // erase by iterator, every third entry
                int n = 0;
                for (auto it = map_.begin(); it != map_.end();) {
                    if (++n % 3 != 0) {
                        ++it;
                        continue;
                    }
                    model_.erase(it->first);
                    present_.erase(it->first);
                    it = map_.erase(it);
                }
                break;
            }
            case 10: map_.reserve(key() % 3000); break;
            case 11: map_.shrink_some(byte()); break;
            case 12: {
                auto node = map_.extract(key());
                if (!node.empty()) {
                    const std::uint32_t old = node.key(), fresh = key();
                    model_.erase(old);
                    present_.erase(old);
                    node.key() = fresh;
                    const std::string value = node.mapped();
                    FUZZ_EXPECT(map_.insert(std::move(node)).inserted ==
                                    model_.try_emplace(fresh, value).second,
                                "an extracted entry goes in under its new key");
                }
                break;
            }
            case 13: {
                map copy(map_);
                FUZZ_EXPECT(copy == map_, "a copy is equal");
                copy.check();
                break;
            }
            case 14: map_.check(); break;
            default: step_of_walk();
        }
    }
    void compare_everything() {
        FUZZ_EXPECT(map_.size() == model_.size(), "the sizes are equal");
        std::size_t entries = 0;
        for (const auto& [k, v] : map_) {
            ++entries;
            const auto theirs = model_.find(k);
            FUZZ_EXPECT(theirs != model_.end() && theirs->second == v, "each entry is right");
        }
        FUZZ_EXPECT(entries == model_.size(), "the iteration visits all of them");
    }

    const std::uint8_t* data_;
    std::size_t left_;
    std::size_t limit_ = 0;
    map map_;
    std::unordered_map<std::uint32_t, std::string> model_;
    std::optional<decltype(std::declval<map&>().walk())> walk_;
    bool walking_ = false;
    std::unordered_set<std::uint32_t> present_, seen_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    map_model(data, size).run();
    return 0;
}
