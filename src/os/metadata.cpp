// metadata.cpp - see metadata.hpp.
#include "steady/os/metadata.hpp"

#include "steady/core/check.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/mutex.hpp"
#include "steady/os/mappings.hpp"

namespace steady::os {

namespace {

constexpr bytes chunk_size = 256_KiB;
constexpr bytes own_mapping = 64_KiB;  // from here on a chunk would waste too much of its tail

constinit mutex chunk_lock;
constinit std::uintptr_t cursor = 0;  // both guarded by chunk_lock
constinit std::uintptr_t chunk_end = 0;
constinit ledger unused{"os.metadata_unused"};

void* map_alone(bytes size, ledger& owner) noexcept {
    const bytes whole = round_up(size, os_page());
    const auto block = map_plain(whole);
    if (!block) return nullptr;
    owner.add(size);
    unused.add(whole - size);
    return *block;
}

}  // namespace

void* metadata_alloc(bytes size, std::size_t align, ledger& owner) noexcept {
    STEADY_ASSERT(1, is_power_of_two(align) && align <= os_page().count(),
                  "T1 metadata: an alignment above an OS page or not a power of two");
    if (size >= own_mapping) return map_alone(size, owner);

    const lock_guard guard(chunk_lock);
    std::uintptr_t start = round_up(cursor, align);
    if (cursor == 0 || start + size.count() > chunk_end) {
        const auto chunk = map_plain(chunk_size);
        if (!chunk) return nullptr;
        unused.add(chunk_size);
        start = reinterpret_cast<std::uintptr_t>(*chunk);
        chunk_end = start + chunk_size.count();
    }
    cursor = start + size.count();
    unused.sub(size);
    owner.add(size);
    return reinterpret_cast<void*>(start);
}

ledger& metadata_unused() noexcept {
    return unused;
}

void metadata_reset_after_fork() noexcept {
    chunk_lock.reset_after_fork();
    detail::free_nominal_lock();
    mappings_reset_after_fork();
}

namespace detail {

void* slot_pool::get(std::size_t size, std::size_t align, ledger& owner) noexcept {
    if (free_ != nullptr) {
        free_slot* slot = free_;
        free_ = slot->next;
        return slot;
    }
    if (static_cast<std::size_t>(end_ - cursor_) < size) {
        // Whole slots only, so that T1 counts no piece twice; at least one for big records.
        constexpr std::size_t piece = 16384;
        const std::size_t length = size >= piece ? size : piece - piece % size;
        auto* fresh = static_cast<std::byte*>(metadata_alloc(bytes{length}, align, owner));
        if (fresh == nullptr) return nullptr;
        cursor_ = fresh;
        end_ = fresh + length;
    }
    void* slot = cursor_;
    cursor_ += size;
    return slot;
}

void slot_pool::put(void* slot) noexcept {
    auto* freed = static_cast<free_slot*>(slot);
    freed->next = free_;
    free_ = freed;
}

}  // namespace detail

}  // namespace steady::os
