// options.hpp - what STEADY_DEBUG can say. One environment variable,
// comma-separated name=value pairs, like Go's GODEBUG:
//
//   STEADY_DEBUG=memory_limit=2GiB,hugepages=off,stats_at_exit=1
//
// This is the one place where a knob has its name, its unit, its default and its
// reason. A mistake never stops a program: the pair is reported on stderr and
// left out, everything else counts. When a name stands twice the last one wins.
//
// Values   switch   1, on, true or 0, off, false
//          number   decimal digits
//          size     digits and B, KiB, MiB, GiB or TiB; digits alone are bytes;
//                   off is 0
//          text     up to the next comma
//          signal   usr1, usr2 or off; on is usr2
//
// A set-user-ID program does not listen: its environment is a stranger's.
// Parsed without allocating and without locks, by whoever asks first: that is
// usually malloc, before any constructor has run.

#pragma once

#include "steady/core/fatal.hpp"

#include <cstdint>

namespace steady {

struct debug_options {
    /// Average bytes allocated between two samples of the heap profile; 1 samples
    /// every object, 0 none. 512 KiB is Go's; docs/numbers/profile.md has what it costs.
    std::uint64_t profilerate = 524288;

    /// Samples are spent on the sizes whose objects live long; off: one rate for all. Now and
    /// then a short-lived background thread looks at the counts; without `background` none does.
    bool profile_tune = false;

    /// Heap profiles: where they go (text: a path; %p is the process id, %n counts the
    /// profiles of a process). Written when the process exits, and when one of the
    /// three below says so. For libsteady_profile.so, as are the four after it.
    char profile_file[256] = {};
    /// The same as an allocs profile, at exit only.
    char allocs_file[256] = {};
    /// The signal at which profile_file is written; 0: none.
    std::uint8_t profile_signal = 0;
    /// profile_file is written when live bytes pass this (size); 0: off.
    std::uint64_t profile_limit = 0;
    /// profile_file is written when an allocation fails.
    bool profile_on_failure = true;

    /// A line on stderr for each round of the scavenger.
    bool scavtrace = false;

    /// Statistics on stderr (or in stats_file) when the process exits.
    bool stats_at_exit = false;
    bool stats_json = false;
    char stats_file[256] = {};  // text: a path

    /// The heap works harder to stay below this (size): it scavenges early. 0: off.
    std::uint64_t memory_limit = 0;
    /// Allocations that would exceed this fail (size). 0: off.
    std::uint64_t hard_memory_limit = 0;

    /// Checks at run time, 0..3. A build has its own level, STEADY_CHECK; the
    /// higher one counts where code for it was compiled.
    std::uint8_t check = 0;

    /// Huge pages: where dense and long-lived (adaptive), everywhere, nowhere.
    enum class huge_page_policy : std::uint8_t { adaptive, on, off };
    huge_page_policy hugepages = huge_page_policy::adaptive;

    /// The background thread that gives memory back. Without it that happens on
    /// allocating threads only, in small pieces.
    bool background = true;

    /// Address of the debug server (text): 127.0.0.1:6060; empty: none. Other addresses than
    /// this machine's own ask for http_any=1.
    char http[128] = {};
    bool http_any = false;
    /// Only the process with this id serves (number); 0: all that inherit the variable try.
    /// `steady run` sets it, so that children do not compete for the port.
    std::uint64_t http_process = 0;

    /// The top allocators as text on stderr when the process exits.
    bool report = false;
    /// The same as a page with a flame graph (text: a path; %p is the process id).
    char report_file[256] = {};

    /// Act as if the machine had this many NUMA nodes; 0: ask the machine.
    std::uint32_t pretend_nodes = 0;

    /// One in this many sampled objects gets guard pages; 0: none.
    std::uint32_t guard_rate = 0;

    /// Fill objects with a pattern when they come and when they go, so that a read of
    /// either shows. Part of checked mode (check=1), which it switches on.
    bool junk = false;

    /// MADV_FREE in place of MADV_DONTNEED: cheaper, but the memory still counts
    /// as resident until the system needs it.
    bool madvfree = false;
};

/// Where mistakes in the text go: `warn` in a program, a list in a test.
using message_sink = void (*)(const message&);

/// Reads the text; nullptr is an empty text.
///
/// Returns    the options, defaults where the text says nothing or nonsense.
/// Cost       O(length * number of names); allocates nothing.
/// Threads    any.
debug_options parse_debug_options(const char* text, message_sink report) noexcept;

/// The options of this process: STEADY_DEBUG, read at the first call.
///
/// Returns    the defaults, for now, when libc has not yet found the environment;
///            the next call looks again.
/// Cost       one acquire load after the first call.
/// Threads    any. heap asks before it lets the process fork, so that no child
///            inherits a half-read text.
const debug_options& options() noexcept;

}  // namespace steady
