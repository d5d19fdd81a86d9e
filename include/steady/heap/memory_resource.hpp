// memory_resource.hpp - steady heaps behind std::pmr.
//
//   steady::memory_resource resource;               // the default heap
//   std::pmr::vector<int> v(&resource);
//
//   steady::heap scratch;
//   steady::heap_resource own(scratch);             // an instance
//   std::pmr::map<int, int> m(&own);                // scratch.release() frees it all
#pragma once

#include <cstddef>
#include <memory_resource>
#include <new>

#include "steady/heap/heap.hpp"

namespace steady {

/// The default heap. Throws std::bad_alloc. Threads: any.
class memory_resource final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t size, std::size_t alignment) override {
        void* p = steady::allocate(size, alignment, contents::may_hold_pointers);
        if (p == nullptr) throw std::bad_alloc();
        return p;
    }
    void do_deallocate(void* p, std::size_t, std::size_t) override { steady::deallocate(p); }
    [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return dynamic_cast<const memory_resource*>(&other) != nullptr;
    }
};

/// A heap instance, which must outlive the resource. Throws std::bad_alloc. Threads: any.
class heap_resource final : public std::pmr::memory_resource {
public:
    explicit heap_resource(heap& h) noexcept : heap_(&h) {}

private:
    void* do_allocate(std::size_t size, std::size_t alignment) override {
        void* p = heap_->allocate(size, alignment, contents::may_hold_pointers);
        if (p == nullptr) throw std::bad_alloc();
        return p;
    }
    void do_deallocate(void* p, std::size_t, std::size_t) override { heap_->deallocate(p); }
    [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        const auto* resource = dynamic_cast<const heap_resource*>(&other);
        return resource != nullptr && resource->heap_ == heap_;
    }

    heap* heap_;
};

}  // namespace steady
