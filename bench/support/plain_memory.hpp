// plain_memory.hpp - memory for the harness itself, straight from mmap, and the
// two devices that keep a compiler from optimising a benchmark away.
//
// A heap benchmark must not keep its own tables in the heap it measures: 8 MB of
// slots would be the largest block of the run and would move every figure of
// resident memory. plain_array is touched once at construction, so its pages
// are in memory before the first clock reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace steady::bench {

/// An array of zeroed T outside every heap. Stops the program when the system
/// refuses: a benchmark without its tables has nothing to report.
template <class T>
class plain_array {
public:
    explicit plain_array(std::size_t count) : bytes_(count * sizeof(T)) {
        void* fresh =
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) {
            std::fprintf(stderr,
                         "bench: mmap of %zu bytes for the harness failed; free some memory.\n",
                         bytes_);
            std::exit(1);
        }
        std::memset(fresh, 0, bytes_);  // first touch happens here, not under the clock
        data_ = static_cast<T*>(fresh);
    }
    plain_array(const plain_array&) = delete;
    plain_array& operator=(const plain_array&) = delete;
    ~plain_array() { munmap(data_, bytes_); }

    T& operator[](std::size_t index) { return data_[index]; }
    T* begin() { return data_; }
    T* end() { return data_ + size(); }
    std::size_t size() const { return bytes_ / sizeof(T); }

private:
    T* data_ = nullptr;
    std::size_t bytes_;
};

/// Tells the compiler that anybody may read and write what `object` points to,
/// so a malloc cannot be paired with its free and dropped. Emits no instruction.
inline void escape(void* object) {
    asm volatile("" : : "r"(object) : "memory");
}

/// The generator of every benchmark here: seeded, one multiply per draw, the
/// same sequence on every machine (wyrand, as in core/random.hpp; repeated so
/// that the programs under LD_PRELOAD link nothing of steady).
class seeded_random {
public:
    explicit seeded_random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0xa0761d6478bd642fULL;
        const auto wide = static_cast<unsigned __int128>(state_) * (state_ ^ 0xe7037ed1a0b428dbULL);
        return static_cast<std::uint64_t>(wide >> 64) ^ static_cast<std::uint64_t>(wide);
    }

private:
    std::uint64_t state_;
};

/// Maps 32 random bits to 0 .. limit-1 without a division.
inline std::uint32_t below(std::uint32_t random, std::uint32_t limit) {
    return static_cast<std::uint32_t>((std::uint64_t{random} * limit) >> 32);
}

}  // namespace steady::bench
