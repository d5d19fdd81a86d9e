// support.hpp - for tests that do not know whose malloc they run on.
//
// The programs in this folder link nothing of steady. ctest runs each of them
// twice: with libsteady_malloc.so preloaded, which tests the library, and without
// (libc.*), which tests the tests: a body that fails on glibc asks for something
// no program may rely on. Where the two may differ,
// the body says so with on_steady().
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

/// True when malloc is libsteady_malloc.so's.
inline bool on_steady() {
    Dl_info where{};
    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &where) == 0 || where.dli_fname == nullptr)
        return false;
    return std::string_view(where.dli_fname).find("libsteady_malloc") != std::string_view::npos;
}

/// Keeps the compiler from knowing anything about the value: it may otherwise
/// remove malloc and free in pairs, and knows what malloc(PTRDIFF_MAX) gives.
template <class T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

inline void* get(std::size_t size) {
    return opaque(std::malloc(opaque(size)));
}
inline void put(void* p) {
    std::free(opaque(p));
}

/// Fills a block so that every byte depends on its place and on the owner.
inline void sign(void* p, std::size_t size, std::uint64_t owner) {
    auto* bytes = static_cast<unsigned char*>(p);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<unsigned char>((i * 167 + owner * 59 + (i >> 8)) & 0xff);
    }
}

/// Returns the first byte that is not as signed, or `size`.
inline std::size_t first_wrong(const void* p, std::size_t size, std::uint64_t owner) {
    auto* bytes = static_cast<const unsigned char*>(p);
    for (std::size_t i = 0; i < size; ++i) {
        if (bytes[i] != static_cast<unsigned char>((i * 167 + owner * 59 + (i >> 8)) & 0xff))
            return i;
    }
    return size;
}

inline bool all_zero(const void* p, std::size_t size) {
    auto* bytes = static_cast<const unsigned char*>(p);
    return size == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

inline bool is_aligned(const void* p, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

/// A function that the C library of this machine may not have yet, such as C23's
/// free_sized; nullptr then.
template <class Function>
Function find_function(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}
