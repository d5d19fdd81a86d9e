// watch.hpp - finding small views that keep large arrays alive.
//
//   auto header = file.sub(0, 20);      // 20 bytes of 10 MB
//   file = {};                          // frees nothing: header holds all of it
//
// s.retained() says how many bytes one view keeps. The debug mode below finds such
// views in a running program: it reports each one that is cut (`made`), and each array
// whose last slice was small (`held_alone`): that one alone has kept it alive. The cure
// is clone().
//
//   steady::report_small_views();                      // on stderr
//   steady::small_view_hook.install(my_listener, ...)  // or wherever you like
//
// Cost    nobody listening: one load where a slice is cut and where an array is freed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/fatal.hpp"
#include "steady/core/hooks.hpp"

namespace steady {

/// A view that shows little of what it keeps.
struct small_view_event {
    enum class what : std::uint8_t { made, held_alone } kind;
    const void* data;  // where the view begins
    bytes view;        // what it shows
    bytes retained;    // what it keeps alive
};

/// The listener must not create or drop slices.
inline constinit hook<small_view_event> small_view_hook;

/// From when on a view counts as small: it keeps at least `retained` bytes alive and
/// shows less than one part in `parts` of them.
struct small_view_limits {
    bytes retained = 64_KiB;
    std::size_t parts = 16;
};

namespace detail {

struct watched_limits {
    std::atomic<std::size_t> retained{(64_KiB).count()};
    std::atomic<std::size_t> parts{16};
};
inline constinit watched_limits small_views;

[[gnu::cold, gnu::noinline]] inline void announce_small_view(small_view_event::what kind,
                                                             const void* data, std::size_t view,
                                                             std::size_t retained) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    if (retained < small_views.retained.load(relaxed)) return;
    if (view >= retained / small_views.parts.load(relaxed)) return;
    small_view_hook.announce({kind, data, bytes{view}, bytes{retained}});
}

inline void print_small_view(void*, const small_view_event& event) {
    warn(message("slice")
             .text("a view of ")
             .size(event.view)
             .text(event.kind == small_view_event::what::made
                       ? " keeps an array of "
                       : " was the last to keep an array of ")
             .size(event.retained)
             .text(" alive.")
             .line("clone() copies the view; the array can then be freed."));
}

}  // namespace detail

/// Sets from when on a view counts as small.
///
/// Threads    any; views cut at the same moment may be judged by either setting.
inline void set_small_view_limits(const small_view_limits& limits) noexcept {
    detail::small_views.retained.store(limits.retained.count(), std::memory_order_relaxed);
    detail::small_views.parts.store(limits.parts == 0 ? 1 : limits.parts,
                                    std::memory_order_relaxed);
}

/// Prints small views on stderr from now on; small_view_hook.remove() ends it.
///
/// Threads    any.
inline void report_small_views(const small_view_limits& limits = {}) noexcept {
    set_small_view_limits(limits);
    small_view_hook.install(&detail::print_small_view, nullptr);
}

}  // namespace steady
