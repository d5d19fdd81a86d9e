// limits.hpp - how much memory this process may have, according to everybody who has a say.
//
//   who says it            where                                    what happens beyond
//   cgroup v2              memory.max of the group or any above it  the OOM killer
//                          memory.high                              the process is throttled
//   cgroup v1              memory.limit_in_bytes                    the OOM killer
//   ulimit -v, ulimit -d   RLIMIT_AS, RLIMIT_DATA                   mmap says ENOMEM
//   the machine            MemTotal of /proc/meminfo                swap, then the OOM killer
//   vm.overcommit_memory   2: promises are kept strictly            mmap says ENOMEM
//   vm.max_map_count       number of mappings                       mmap says ENOMEM
//
// A limit of a group above ours binds us too, so every level up to the mount point is read
// and the lowest number counts. Both versions may be mounted at once (hybrid): both count.
//
//   /proc/self/cgroup           4:memory:/pod/box           which group we are in
//   /proc/self/mountinfo        ... / /sys/fs/cgroup/memory ... - cgroup cgroup rw,memory
//                                   ^ root ^ mount point          ^ kind
//   together                    /sys/fs/cgroup/memory/pod/box/memory.limit_in_bytes
//                               /sys/fs/cgroup/memory/pod/memory.limit_in_bytes
//                               /sys/fs/cgroup/memory/memory.limit_in_bytes
//
// Inside a container the root of the mount is often our own group already; then the part
// of the path that the root repeats is left out.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "steady/core/units.hpp"

namespace steady::os {

enum class overcommit : std::uint8_t { heuristic = 0, always = 1, never = 2 };

struct memory_limits {
    /// "Nobody says anything."
    static constexpr bytes none{~std::size_t{0}};

    bytes cgroup_max = none;
    bytes cgroup_high = none;
    bytes address_space = none;
    bytes data = none;
    bytes physical = none;
    overcommit overcommit_mode = overcommit::heuristic;
    std::uint64_t max_map_count = 65530;  // the kernel's default

    /// What a heap in a container should stay below when nobody told it otherwise: the
    /// lower one of memory.high and nine tenths of memory.max; `none` outside of containers
    /// (a limit at or above the machine's memory is no container's).
    [[nodiscard]] bytes suggested_soft_limit() const noexcept;
};

/// vm.max_map_count, or the kernel's default when it does not say.
///
/// Cost       one small file; 100 bytes of stack, for callers inside malloc.
/// Threads    any.
std::uint64_t read_max_map_count() noexcept;

/// Asks everybody.
///
/// Cost       some ten files of /proc and /sys, 0.1 to 0.3 ms; 8 KiB of stack; allocates
///            nothing. A file that cannot be read says nothing.
/// Threads    any.
memory_limits read_memory_limits() noexcept;

namespace detail {

class line_reader;

enum class cgroup_kind : std::uint8_t { other, v1_memory, v2 };

/// A line of /proc/self/mountinfo. kind `other`: the rest is meaningless.
struct cgroup_mount {
    cgroup_kind kind = cgroup_kind::other;
    std::string_view root, point;
};
cgroup_mount parse_mount(std::string_view line) noexcept;

/// A line of /proc/self/cgroup.
struct cgroup_membership {
    cgroup_kind kind = cgroup_kind::other;
    std::string_view path;
};
cgroup_membership parse_membership(std::string_view line) noexcept;

/// "max" and the huge numbers of version 1 are none.
bytes parse_limit(std::string_view text) noexcept;

/// The part of a group's path below the mount's root, "" when the root is the group itself
/// or has nothing to do with the path.
std::string_view below_root(std::string_view path, std::string_view root) noexcept;

struct cgroup_limits {
    bytes max = memory_limits::none, high = memory_limits::none;
};
/// Reads the limits of every level, given the contents of both files.
cgroup_limits read_cgroup_limits(line_reader& membership, line_reader& mounts) noexcept;

}  // namespace detail

}  // namespace steady::os
