// malloc_patterns.hpp - the ten ways of calling malloc and free that malloc_micro
// measures, each a small class: the constructor builds what must exist before
// the clock starts, repeat() runs under the clock, answer() is read after it.
//
// One repetition does `pairs` allocations and as many frees. Sizes are in bytes.
//
//   row            pattern of one repetition                               sizes
//   pair-16        malloc, write, free at once                             16
//   pair-mixed     the same, sizes from a table of 4096 random draws       1..1024
//   lifo-100       allocate 100, free them newest first; 2000 times        64
//   fifo-100       allocate 100, free them oldest first; 2000 times        64
//   fifo-10k       allocate 10,000, free them oldest first; 20 times       64
//   replace-1k     read a random one of 1,000 live objects, free it, put   16..256
//   replace-100k   a new one in its place; the same with 100,000 and with  16..256
//   replace-1M     1,000,000 live objects (the heap of a real program)     16..256
//   calloc-256     calloc, look at the zeros, write, free                  256
//   list-1M        build a list of 1,000,000 nodes, then walk and free it  16..48
//
//   not in the mean:
//   replace-1M-blind  replace-1M, but nobody reads an object before it is freed.
//                     Programs do read (a destructor, a key to unlink), and have
//                     then paid the cache miss; without the read the miss falls
//                     on whichever heap touches freed objects. Both are reported,
//                     because the two rows rank heaps differently.
//
// "Write" means the first 8 bytes, as a constructor would: a tag and the size.
// A random draw is one multiply and belongs to every heap's figure alike.
//
// Checks  Each live object carries its own tag, and a pattern adds up all tags
//         while it runs. The answer depends on the seed alone: two heaps that
//         disagree mean that one of them handed out the same memory twice.
//         calloc's pattern collects what it finds, which must be nothing.
// Memory  Tables of the harness are plain_array, so the heap holds the pattern's
//         objects and nothing else. replace reads the resident set of the whole
//         process, minus its slots, after filling and in answer().
#pragma once

#include "support/clocks.hpp"
#include "support/plain_memory.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace steady::bench {

inline constexpr std::uint64_t seed = 20240229;

// What a program's constructor leaves in an object's first bytes.
struct header {
    std::uint32_t tag;
    std::uint32_t size;
};
static_assert(sizeof(header) == 8, "the smallest object of any row must hold a header");

inline void* checked(void* object) {
    if (object == nullptr) {
        std::fprintf(stderr,
                     "malloc_micro: malloc returned nullptr; the figures would mean nothing.\n");
        std::exit(1);
    }
    return object;
}

inline header* make(std::size_t size, std::uint32_t tag) {
    auto* object = static_cast<header*>(checked(std::malloc(size)));
    *object = {tag, static_cast<std::uint32_t>(size)};
    escape(object);
    return object;
}

// Each pattern below has `pairs`, `repeat()` under the clock, and `answer()` after it.

class pair_16 {
public:
    static constexpr std::size_t pairs = 200'000;

    void repeat() {
        for (std::size_t i = 0; i < pairs; ++i) {
            header* object = make(16, static_cast<std::uint32_t>(i));
            sum_ += object->tag;
            std::free(object);
        }
    }
    std::uint64_t answer() { return sum_; }

private:
    std::uint64_t sum_ = 0;
};

class pair_mixed {
public:
    static constexpr std::size_t pairs = 200'000;

    pair_mixed() {
        seeded_random random{seed};
        for (auto& size : sizes_) {
            size = static_cast<std::uint16_t>(
                1 + below(static_cast<std::uint32_t>(random.next()), 1024));
        }
    }
    void repeat() {
        for (std::size_t i = 0; i < pairs; ++i) {
            const std::size_t size = sizes_[i & 4095];
            auto* object = static_cast<unsigned char*>(checked(std::malloc(size)));
            object[0] = static_cast<unsigned char>(i);
            object[size - 1] = static_cast<unsigned char>(size);  // the last byte is ours too
            escape(object);
            sum_ += object[0] + object[size - 1];
            std::free(object);
        }
    }
    std::uint64_t answer() { return sum_; }

private:
    plain_array<std::uint16_t> sizes_{4096};
    std::uint64_t sum_ = 0;
};

enum class order { newest_first, oldest_first };

template <order Order, std::size_t Live>
class batch {
public:
    static constexpr std::size_t pairs = 200'000;

    void repeat() {
        for (std::size_t done = 0; done < pairs; done += Live) {
            for (std::size_t i = 0; i < Live; ++i) {
                objects_[i] = make(64, static_cast<std::uint32_t>(done + i));
            }
            for (std::size_t i = 0; i < Live; ++i) {
                header* object = objects_[Order == order::oldest_first ? i : Live - 1 - i];
                sum_ += object->tag;
                std::free(object);
            }
        }
    }
    std::uint64_t answer() { return sum_; }

private:
    static_assert(pairs % Live == 0, "every batch is whole");
    plain_array<header*> objects_{Live};
    std::uint64_t sum_ = 0;
};

enum class before_free { nothing, read };

template <std::size_t Live, before_free Before = before_free::read>
class replace {
public:
    static constexpr std::size_t pairs = 250'000;

    replace() {
        for (std::size_t i = 0; i < Live; ++i) {
            fill(static_cast<std::uint32_t>(i));
        }
        resident_filled = resident_bytes() - slots_bytes;
        // To the steady state: every object replaced about twice, so that neighbours in
        // the table are no longer neighbours in memory.
        for (std::size_t done = 0; done < 2 * Live; ++done) {
            step();
        }
    }
    ~replace() {
        for (header* object : objects_) {
            std::free(object);
        }
    }
    void repeat() {
        for (std::size_t i = 0; i < pairs; ++i) {
            step();
        }
    }
    std::uint64_t answer() {
        resident_churned = resident_bytes() - slots_bytes;
        std::uint64_t sum = sum_;
        for (std::size_t i = 0; i < Live; ++i) {
            if (objects_[i]->tag != i) {
                std::fprintf(stderr,
                             "malloc_micro: object %zu carries tag %" PRIu32
                             ": its memory was handed out twice.\n",
                             i, objects_[i]->tag);
                std::exit(1);
            }
            sum = sum * 31 + objects_[i]->size;
        }
        return sum;
    }

    std::uint64_t resident_filled = 0;
    std::uint64_t resident_churned = 0;

private:
    static constexpr std::uint64_t slots_bytes = Live * sizeof(header*);

    void fill(std::uint32_t slot) {
        objects_[slot] = make(16 + below(static_cast<std::uint32_t>(random_.next()), 241), slot);
    }

    void step() {
        const std::uint64_t drawn = random_.next();
        const std::uint32_t slot = below(static_cast<std::uint32_t>(drawn >> 32), Live);
        if constexpr (Before == before_free::read) {
            sum_ += objects_[slot]->tag ^ slot ^ objects_[slot]->size;
        }
        std::free(objects_[slot]);
        objects_[slot] = make(16 + below(static_cast<std::uint32_t>(drawn), 241), slot);
    }

    plain_array<header*> objects_{Live};
    seeded_random random_{seed};
    std::uint64_t sum_ = 0;
};

class calloc_256 {
public:
    static constexpr std::size_t pairs = 200'000;

    void repeat() {
        for (std::size_t i = 0; i < pairs; ++i) {
            auto* words = static_cast<std::uint64_t*>(checked(std::calloc(1, 256)));
            escape(words);
            found_ |= words[0] | words[1] | words[15] | words[31];
            // Dirty again, so that a heap which skips the clearing is seen.
            words[0] = words[1] = words[15] = words[31] = ~i;
            escape(words);
            std::free(words);
        }
    }
    std::uint64_t answer() { return found_; }

private:
    std::uint64_t found_ = 0;
};

class list_1M {
public:
    static constexpr std::size_t pairs = 1'000'000;

    list_1M() {
        seeded_random random{seed};
        for (auto& size : sizes_) {
            size = static_cast<std::uint8_t>(16 +
                                             below(static_cast<std::uint32_t>(random.next()), 33));
        }
    }
    void repeat() {
        node* head = nullptr;
        for (std::size_t i = 0; i < pairs; ++i) {
            auto* fresh = static_cast<node*>(checked(std::malloc(sizes_[i & 4095])));
            fresh->next = head;
            fresh->number = i;
            escape(fresh);
            head = fresh;
        }
        while (head != nullptr) {
            node* next = head->next;
            sum_ += head->number;
            std::free(head);
            head = next;
        }
    }
    std::uint64_t answer() { return sum_; }

private:
    struct node {
        node* next;
        std::uint64_t number;
    };
    static_assert(sizeof(node) == 16, "the smallest node is a node and no more");
    plain_array<std::uint8_t> sizes_{4096};
    std::uint64_t sum_ = 0;
};

}  // namespace steady::bench
