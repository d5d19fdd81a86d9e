// early.cpp - the early block, and the moment the library is ready. The story is
// in early.hpp.
#include "early.hpp"

#include <atomic>
#include <pthread.h>

#include "family.hpp"
#include "replaced.hpp"
#include "statistics_text.hpp"
#include "steady/heap/detail/front.hpp"

namespace steady::detail {

constinit std::size_t small_limit = 0;
alignas(64) constinit char early_block[early_capacity] = {};

namespace {

constinit std::size_t early_used = 0;

// Reads as itself once the loader has relocated us and filled the thread's copy of
// our data. Before, its offset reads 0, and at offset 0 from the thread pointer
// there is an address, which is even; or it reads as memory that is still zero.
constexpr std::uint32_t thread_data_filled = 0x57ead1;
static_assert(thread_data_filled % 2 == 1,
              "no address of the thread's control block looks like it");
constinit thread_local volatile std::uint32_t thread_data_mark = thread_data_filled;

struct early_header {
    std::size_t size;
    std::size_t pad;
};
static_assert(sizeof(early_header) == 16, "the header keeps what follows aligned to 16");

// Not memcpy: that is a function of another library (B1).
void copy_bytes(void* to, const void* from, std::size_t size) noexcept {
    auto* target = static_cast<volatile char*>(to);
    auto* source = static_cast<const char*>(from);
    for (std::size_t i = 0; i < size; ++i) target[i] = source[i];
}

void prepare_fork() noexcept {
    statistics_lock.lock();
    before_fork();
}
void resume_parent() noexcept {
    after_fork_in_parent();
    statistics_lock.unlock();
}
void resume_child() noexcept {
    after_fork_in_child();
    statistics_lock.reset_after_fork();
}

}  // namespace

bool ready() noexcept {
    if (small_limit != 0) [[likely]]
        return true;
    if (thread_data_mark != thread_data_filled) return false;
    small_limit = table_split + 1;
    find_replaced_operators();
    // Registered before anybody else's, hence prepared last and resumed first:
    // other libraries' handlers may allocate. libc keeps room for the first 48
    // handlers, so this does not call back into malloc.
    pthread_atfork(prepare_fork, resume_parent, resume_child);
    return true;
}

void* early_allocate(std::size_t size, std::size_t alignment) noexcept {
    if (size > early_capacity || alignment > early_capacity) return nullptr;
    if (alignment < 16) alignment = 16;
    const auto base = reinterpret_cast<std::uintptr_t>(early_block);
    const std::uintptr_t free_from = base + early_used + sizeof(early_header);
    const std::uintptr_t object = (free_from + alignment - 1) & ~(alignment - 1);
    // At least one byte: malloc(0) gives every caller an address of its own.
    const std::size_t end = object - base + (size == 0 ? 1 : size);
    if (end > early_capacity) return nullptr;
    early_used = end;
    reinterpret_cast<early_header*>(object)[-1].size = size;
    return reinterpret_cast<void*>(object);
}

std::size_t early_usable_size(const void* p) noexcept {
    return static_cast<const early_header*>(p)[-1].size;
}

void* early_reallocate(void* p, std::size_t size) noexcept {
    const std::size_t old_size = early_usable_size(p);
    if (size <= old_size) return p;
    void* moved = ready() ? allocate(size) : early_allocate(size, 16);
    if (moved != nullptr) copy_bytes(moved, p, old_size);
    return moved;
}

}  // namespace steady::detail
