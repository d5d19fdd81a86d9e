// block.hpp - a piece of memory that knows what it should contain.
//
//   | size | owner | pattern made of both ...                | owner again |
//
// Whoever gets the block, however it came there, can tell whether somebody else
// wrote into it or the heap gave it out twice.
#pragma once

#include <malloc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace stress {

struct block {
    std::size_t size;  // of all, at least smallest
    std::uint64_t owner;
};
inline constexpr std::size_t smallest = sizeof(block) + 1;

[[noreturn]] inline void fail(const char* what, const void* where) {
    std::fprintf(stderr, "stress: %s at %p, process %d\n", what, where, getpid());
    std::abort();
}

inline unsigned char mark(const block* b, std::size_t i) {
    return static_cast<unsigned char>(b->owner * 31 + i * 7 + (i >> 9));
}

/// Whole small blocks; of large ones both ends and a byte in each page, or the
/// test would measure memory bandwidth.
template <class Visit>
void for_checked_bytes(std::size_t size, Visit visit) {
    constexpr std::size_t whole = 2048, step = 1021;
    if (size <= whole) {
        for (std::size_t i = sizeof(block); i < size; ++i) visit(i);
        return;
    }
    for (std::size_t i = sizeof(block); i < 512; ++i) visit(i);
    for (std::size_t i = 512; i < size - 64; i += step) visit(i);
    for (std::size_t i = size - 64; i < size; ++i) visit(i);
}

inline void sign(block* b, std::size_t size, std::uint64_t owner) {
    b->size = size;
    b->owner = owner;
    auto* bytes = reinterpret_cast<unsigned char*>(b);
    for_checked_bytes(size, [&](std::size_t i) { bytes[i] = mark(b, i); });
}

inline void check(const block* b, const char* when) {
    auto* bytes = reinterpret_cast<const unsigned char*>(b);
    if (b->size < smallest || b->size > (std::size_t{1} << 32)) fail(when, b);
    if (malloc_usable_size(const_cast<block*>(b)) < b->size)
        fail("usable size below the size asked for", b);
    for_checked_bytes(b->size, [&](std::size_t i) {
        if (bytes[i] != mark(b, i)) fail(when, bytes + i);
    });
}

using random_source = std::mt19937_64;

/// Mostly small, all magnitudes up to 16 MiB.
inline std::size_t random_size(random_source& random) {
    const unsigned dice = random() % 1000;
    const unsigned bits = dice < 900   ? 5 + random() % 6
                          : dice < 990 ? 10 + random() % 7
                          : dice < 999 ? 16 + random() % 5
                                       : 24;
    return smallest + random() % (std::size_t{1} << bits);
}

/// A signed block from one of the functions that make one.
inline block* make(random_source& random) {
    const std::size_t size = random_size(random);
    void* p = nullptr;
    switch (random() % 8) {
        case 0: {
            p = std::calloc(1, size);
            auto* bytes = static_cast<const unsigned char*>(p);
            if (p != nullptr) {
                for_checked_bytes(size, [&](std::size_t i) {
                    if (bytes[i] != 0) fail("calloc gave memory that is not zero", bytes + i);
                });
            }
            break;
        }
        case 1: {
            const std::size_t alignment = std::size_t{16} << (random() % 9);
            if (posix_memalign(&p, alignment, size) != 0) p = nullptr;
            if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) fail("wrong alignment", p);
            break;
        }
        case 2: p = ::operator new(size); break;
        default: p = std::malloc(size);
    }
    if (p == nullptr) fail("no memory", p);
    auto* b = static_cast<block*>(p);
    sign(b, size, random());
    return b;
}

inline block* resize(block* b, random_source& random) {
    check(b, "overwritten before realloc");
    const block before = *b;
    const std::size_t size =
        random() % 4 == 0 ? random_size(random) : before.size + random() % (before.size / 2 + 64);
    auto* moved =
        static_cast<block*>(std::realloc(b, size < (std::size_t{32} << 20) ? size : smallest));
    if (moved == nullptr) fail("no memory for realloc", b);
    if (moved->owner != before.owner || moved->size != before.size)
        fail("realloc lost the first bytes", moved);
    sign(moved, size < (std::size_t{32} << 20) ? size : smallest, before.owner);
    return moved;
}

inline void drop(block* b) {
    if (b == nullptr) return;
    check(b, "overwritten before free");
    std::memset(static_cast<void*>(b), 0xdd, sizeof(block));  // a second owner will notice
    std::free(b);
}

}  // namespace stress
