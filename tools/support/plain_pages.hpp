// plain_pages.hpp - memory for the command itself, straight from the kernel, so
// that its own data never passes through a heap it measures.
//
// A child inherits the system heap in the state its parent left: freed chunks
// to reuse, and in glibc a threshold for mmap that moves with the largest block
// ever freed. A command that kept 64 MB of text and 8,000 path names in that
// heap would hand each measured child a heap with a history. It keeps them here.
//
//   growing_bytes      one contiguous buffer that grows by moving page tables
//   page_resource      a std::pmr resource for lists and names; frees all at its end
#pragma once

#include <cstddef>
#include <memory_resource>
#include <string_view>

namespace steady::cli {

/// Bytes that grow at the end. mremap moves them without copying.
class growing_bytes {
public:
    growing_bytes() = default;
    growing_bytes(const growing_bytes&) = delete;
    growing_bytes& operator=(const growing_bytes&) = delete;
    ~growing_bytes();

    std::size_t size() const { return size_; }
    std::string_view view() const { return {data_, size_}; }

    /// Room for `count` more bytes behind the end; earlier views become invalid.
    /// Throws std::bad_alloc.
    char* make_room(std::size_t count);
    /// Makes `count` bytes of that room part of the contents.
    void append_from_room(std::size_t count) { size_ += count; }
    void shrink_to(std::size_t size) { size_ = size; }

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/// Where page_resource gets its blocks: mmap and munmap, nothing between.
std::pmr::memory_resource* kernel_pages();

/// Bump allocation over kernel_pages(); everything goes back with the object.
class page_resource : public std::pmr::monotonic_buffer_resource {
public:
    page_resource() : std::pmr::monotonic_buffer_resource(64 * 1024, kernel_pages()) {}
};

}  // namespace steady::cli
