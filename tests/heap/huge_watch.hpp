// huge_watch.hpp - what the tests of huge blocks look at: the system calls a piece of
// code makes, and what the kernel says is mapped.
#pragma once

#include "steady/core/hooks.hpp"
#include "steady/heap/detail/huge.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace steady::test {

using detail::huge_block;
using detail::huge_heap;
using detail::huge_settings;

/// A sanitizer has shadow memory of its own: no limit on addresses is small enough to
/// matter, and the resident set is not what the heap makes of it.
#if defined(__SANITIZE_ADDRESS__) || defined(STEADY_OS_TSAN)
inline constexpr bool under_sanitizer = true;
#elif defined(__has_feature)
inline constexpr bool under_sanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool under_sanitizer = false;
#endif

/// Listens to os_hook for as long as it lives. One thread at a time.
class os_watch {
public:
    os_watch() { os_hook.install(&os_watch::hear, this); }
    ~os_watch() { os_hook.remove(); }
    os_watch(const os_watch&) = delete;
    os_watch& operator=(const os_watch&) = delete;

    std::size_t calls = 0;
    std::size_t moves = 0;
    std::size_t decommits = 0;
    std::size_t most_touched = 0;

private:
    static void hear(void* self, const os_event& event) {
        auto& seen = *static_cast<os_watch*>(self);
        ++seen.calls;
        seen.moves += event.call == os_call::remap;
        seen.decommits += event.call == os_call::decommit;
        seen.most_touched = std::max(seen.most_touched, event.touched.count());
    }
};

/// Readable and writable bytes of the range, as the kernel counts them.
inline std::size_t writable_in_maps(const void* start, std::size_t length) {
    const auto low = reinterpret_cast<std::uintptr_t>(start), high = low + length;
    std::FILE* maps = std::fopen("/proc/self/maps", "r");
    std::size_t sum = 0;
    char line[512];
    while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
        std::uintptr_t from = 0, to = 0;
        char rights[8] = {};
        if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, rights) != 3) continue;
        if (from >= low && to <= high && std::strncmp(rights, "rw", 2) == 0) sum += to - from;
    }
    if (maps != nullptr) std::fclose(maps);
    return sum;
}

/// Bytes of this process in memory now.
inline std::size_t resident() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    std::size_t all = 0, in_memory = 0;
    if (file == nullptr || std::fscanf(file, "%zu %zu", &all, &in_memory) != 2) in_memory = 0;
    if (file != nullptr) std::fclose(file);
    return in_memory * os::os_page().count();
}

/// Every invariant holds, and the kernel and the counters agree to the byte.
inline void expect_sound(huge_heap& heap) {
    message text("heap");
    EXPECT_TRUE(heap.check(&text)) << text.c_str();
    if (!heap.area().is_open()) return;
    const detail::huge_counters now = heap.counters();
    EXPECT_EQ((now.in_use + now.idle + now.prepared).count(),
              writable_in_maps(heap.area().base(), heap.area().size().count()));
    EXPECT_EQ(heap.area().prepared(), now.in_use + now.idle + now.prepared);
}

/// Ends a test: nothing is live, and everything goes back.
inline void expect_all_returned(huge_heap& heap, bytes ready_before) {
    EXPECT_EQ(heap.counters().live, 0u);
    expect_sound(heap);
    const result<void> closed = heap.close();
    EXPECT_TRUE(closed) << closed.error().action;
    EXPECT_EQ(os::ledgers().ready.value(), ready_before);
}

inline huge_block* must_allocate(huge_heap& heap, bytes size, std::size_t alignment = 1,
                                 void* owner = nullptr) {
    bool zeroed = false;
    const result<huge_block*> block = heap.allocate(size, alignment, zeroed, owner);
    if (!block) ADD_FAILURE() << block.error().action;
    return block ? *block : nullptr;
}

}  // namespace steady::test
