// check.hpp - invariants that are tested while the program runs, as much as the
// build asks for.
//
// STEADY_CHECK   0  release: only what protects memory (foreign pointers, misuse)
//                1  arguments and ledgers                  (default without NDEBUG)
//                2  the invariants of whatever was just touched
//                3  whole structures, poisoned memory, stale iterators
//
//   STEADY_ASSERT(2, frontier_ <= chains_, "E3 growth ends: the frontier ran past the end");
//                 ^ level  ^ condition      ^ name of the invariant, then what is wrong
//
// A check above the build's level is parsed, so that it cannot rot, and costs
// nothing: its condition is not evaluated.
//
// Parts of one program may be built with different levels (a release libsteady
// under a debug program). The layout of a type therefore never depends on
// STEADY_CHECK; only what functions do may.

#pragma once

#include "steady/core/fatal.hpp"

#include <cstddef>

#if !defined(STEADY_CHECK)
#if defined(NDEBUG)
#define STEADY_CHECK 0
#else
#define STEADY_CHECK 1
#endif
#endif

static_assert(STEADY_CHECK >= 0 && STEADY_CHECK <= 3,
              "STEADY_CHECK is 0 (release), 1 (arguments), 2 (invariants) or 3 (whole structures)");

namespace steady::detail {

struct name_part {
    const char* start;
    std::size_t length;
};

/// The room a source file belongs to: the folder it lies in, or the one above
/// when that is `detail`. "src/heap/span.cpp" and "heap/detail/span.hpp" are heap.
constexpr name_part room_of(const char* path) noexcept {
    name_part room{"steady", 6}, folder = room;
    const char* start = path;
    for (const char* p = path; *p != '\0'; ++p) {
        if (*p != '/') continue;
        room = folder;
        folder = {start, static_cast<std::size_t>(p - start)};
        start = p + 1;
    }
    constexpr char skipped[] = "detail";
    bool in_detail = folder.length == sizeof(skipped) - 1;
    for (std::size_t i = 0; in_detail && i < folder.length; ++i) {
        in_detail = folder.start[i] == skipped[i];
    }
    return in_detail ? room : folder;
}

/// Prints the invariant's name, the condition and the place, and stops.
[[noreturn, gnu::cold, gnu::noinline]] inline void broken_invariant(const char* invariant,
                                                                    const char* condition,
                                                                    const char* file,
                                                                    unsigned line) noexcept {
    const name_part where = room_of(file);
    char room[32] = {};
    for (std::size_t i = 0; i < where.length && i < sizeof(room) - 1; ++i) room[i] = where.start[i];
    fatal(message(room)
              .text("broken invariant ")
              .text(invariant)
              .line("Expected: ")
              .text(condition)
              .line("Checked at ")
              .text(file)
              .text(":")
              .number(line)
              .text(".")
              .line("Memory was overwritten, or steady is wrong. A build with "
                    "-DSTEADY_CHECK=3 stops nearer to the cause."));
}

}  // namespace steady::detail

/// Stops the program when the build checks at this level and the condition fails.
#define STEADY_ASSERT(level, condition, invariant)                                             \
    do {                                                                                       \
        if constexpr ((level) <= STEADY_CHECK) {                                               \
            if (!(condition)) [[unlikely]] {                                                   \
                ::steady::detail::broken_invariant(invariant, #condition, __FILE__, __LINE__); \
            }                                                                                  \
        }                                                                                      \
    } while (false)
