// shared_pages.hpp - memory that a child process fills and its parent reads: for results too
// large for child.hpp's pipe.
//
// The pages are there before anybody is measured: neither the child's resident memory (it
// counts anonymous pages only) nor its page faults contain them.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

namespace steady::cli {

template <class T>
class shared_pages {
    static_assert(std::is_trivially_copyable_v<T>, "parent and child look at the same bytes");

public:
    shared_pages() = default;
    /// `count` zeroed values. Throws std::bad_alloc.
    explicit shared_pages(std::size_t count) : count_(count) {
        if (count == 0) return;
        void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        data_ = static_cast<T*>(memory);
    }
    shared_pages(shared_pages&& other) noexcept : data_(other.data_), count_(other.count_) {
        other.data_ = nullptr;
        other.count_ = 0;
    }
    shared_pages& operator=(shared_pages&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
        return *this;
    }
    ~shared_pages() {
        if (data_ != nullptr) munmap(data_, count_ * sizeof(T));
    }

    [[nodiscard]] std::span<T> values() const noexcept { return {data_, count_}; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] T& operator[](std::size_t i) const noexcept { return data_[i]; }

private:
    T* data_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace steady::cli
