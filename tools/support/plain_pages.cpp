// plain_pages.cpp - see plain_pages.hpp.
#include "support/plain_pages.hpp"

#include <new>

#include <sys/mman.h>

namespace steady::cli {
namespace {

constexpr std::size_t smallest_capacity = 1 << 20;

void* map_pages(std::size_t size) {
    void* fresh = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) throw std::bad_alloc();
    return fresh;
}

class mmap_resource : public std::pmr::memory_resource {
    void* do_allocate(std::size_t size, std::size_t) override { return map_pages(size); }
    void do_deallocate(void* block, std::size_t size, std::size_t) override { munmap(block, size); }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }
};

}  // namespace

growing_bytes::~growing_bytes() {
    if (data_ != nullptr) munmap(data_, capacity_);
}

char* growing_bytes::make_room(std::size_t count) {
    if (capacity_ - size_ < count) {
        std::size_t wanted = capacity_ == 0 ? smallest_capacity : capacity_;
        while (wanted - size_ < count) wanted *= 2;
        void* grown =
            data_ == nullptr ? map_pages(wanted) : mremap(data_, capacity_, wanted, MREMAP_MAYMOVE);
        if (grown == MAP_FAILED) throw std::bad_alloc();
        data_ = static_cast<char*>(grown);
        capacity_ = wanted;
    }
    return data_ + size_;
}

std::pmr::memory_resource* kernel_pages() {
    static mmap_resource resource;
    return &resource;
}

}  // namespace steady::cli
