// profile.hpp - where the memory goes: who allocates, who keeps, who grows, who
// keeps large arrays alive for a small view, and where the processor's time goes.
//
//   steady::profile::start();                       // once; later calls change nothing
//   ...
//   std::string bytes = steady::profile::write_pprof(steady::profile::kind::heap, {});
//   // gzip'd profile.proto: `go tool pprof FILE`, or serve it at /debug/pprof/heap
//
//   for (const auto& s : steady::profile::snapshot(steady::profile::kind::heap, {}))
//       std::cout << s.frames.front().function << ' ' << s.values[steady::profile::inuse_space];
//
// Terms   sample: an object that was chosen when it was allocated; it is remembered
//         until it is freed, so what was allocated and what is alive are both known.
//         weight: 1 / the probability with which it was chosen: so many objects it stands
//         for. In a profile the weights of each size are made to agree with the number of
//         objects of that size that the heap has counted; what no sample stands for is one
//         line, "[not sampled]". All lines together are what the heap has, to the byte.
//         site: one stack with one object size and one set of labels.
//
//   kind       values, in this order
//   heap       alloc_objects alloc_space inuse_objects inuse_space frag_space resident_space
//   allocs     the same; tools show alloc_space first
//   growth     growths/count moved/bytes grown/bytes     steps of growing containers
//   retained   views/count retained/bytes                small views of large arrays
//   cpu        samples/count cpu/nanoseconds             while `seconds` pass
//
// Two libraries, one interface. A program that links steady::profile profiles the
// steady heap it links. libsteady_profile.so, preloaded beside libsteady_malloc.so,
// profiles that one: malloc of a program that knows nothing of us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "steady/heap/statistics.hpp"

namespace steady::profile {

enum class kind : std::uint8_t { heap, allocs, growth, retained, cpu };

inline constexpr kind all_kinds[] = {kind::heap, kind::allocs, kind::growth, kind::retained,
                                     kind::cpu};
/// "heap", "allocs", ...: also the last part of its address below /debug/pprof/.
[[nodiscard]] const char* name(kind what) noexcept;

/// Places of the values of heap and allocs.
enum heap_value : std::size_t {
    alloc_objects,
    alloc_space,
    inuse_objects,
    inuse_space,
    frag_space,      // in-use pages that hold no live object, charged to who lives beside them
    resident_space,  // of inuse_space + frag_space, what is in physical memory
    heap_values
};

struct value_type {
    const char* type;  // "inuse_space"
    const char* unit;  // "bytes"
};
/// What values[] of a record of this kind mean, in order.
[[nodiscard]] std::span<const value_type> value_types(kind what) noexcept;

struct options {
    /// Names, files and lines are looked up here. Otherwise pprof does it, from the
    /// addresses and build-ids that every profile carries.
    bool symbolize = true;
    /// heap: caches are emptied first, so that frag_space is not what lies in them.
    bool gc = false;
    /// cpu: how long to sample. Other kinds, unless 0: what changed in so many seconds.
    unsigned seconds = 0;
};

/// Samples until now (or for `seconds`), as gzip'd profile.proto.
///
/// Returns    the bytes; a valid profile without samples when profiling is off.
/// Cost       a copy of the sites under a lock, then symbols and compression: milliseconds
///            to a second the first time a large program is symbolised. The program's
///            other threads wait for the copy only, and only when they take a sample.
/// Throws     std::bad_alloc.
/// Threads    any; not in a signal handler. One cpu profile at a time: a second one
///            waits.
[[nodiscard]] std::string write_pprof(kind what, const options& how = {});

struct frame {
    std::string function;  // demangled; empty: unknown
    std::string file;
    std::string module;         // path of the program or library it lies in
    std::uint64_t address = 0;  // inside the call
    std::int64_t line = 0;      // 0: unknown
    bool inlined = false;       // its code is part of the next frame's function
};

struct label {
    std::string key;
    std::string text;         // a text label, or
    std::int64_t number = 0;  // a number with a unit
    std::string unit;
};

struct stack_record {
    std::vector<frame> frames;  // innermost first
    std::vector<std::int64_t> values;
    std::vector<label> labels;  // "bytes", "thread", and what label_scope says
};

/// The same as records, for reports and flame graphs.
[[nodiscard]] std::vector<stack_record> snapshot(kind what, const options& how = {});

/// Begins to sample, at the rate that STEADY_DEBUG=profilerate says.
///
/// Returns    false: there is no steady heap in this process to listen to.
/// Threads    any.
bool start() noexcept;
/// Stops sampling. What was recorded stays, with the weights that samples were taken with;
/// objects that are freed from now on still count as alive until start() is called again, which
/// forgets them.
///
/// Threads    any.
void stop() noexcept;

/// Changes the mean number of bytes between samples: 1 samples all, 0 none.
/// Samples keep the probability they were taken with. What is allocated while the rate is 0 is
/// charged to nobody.
///
/// Threads    any.
void set_rate(std::uint64_t bytes) noexcept;
[[nodiscard]] std::uint64_t rate() noexcept;

/// What profiling itself does.
struct counters {
    bool running = false;
    std::uint64_t samples = 0;       // objects sampled since the start
    std::uint64_t live_samples = 0;  // of these not freed yet
    std::uint64_t sites = 0;
    std::uint64_t growths = 0;         // growth events
    std::uint64_t lost = 0;            // samples without a place: the tables were full
    std::uint64_t cut_stacks = 0;      // stacks deeper than we keep
    std::uint64_t table_bytes = 0;     // memory of the tables, from the system
    std::uint64_t unsampled_live = 0;  // bytes alive when sampling began: they are nobody's
};
[[nodiscard]] counters read_counters() noexcept;
/// Sites of this kind, for an index.
[[nodiscard]] std::uint64_t count(kind what) noexcept;

/// The statistics of the heap that is profiled: of libsteady_malloc.so when preloaded.
[[nodiscard]] heap_statistics read_heap_statistics() noexcept;

}  // namespace steady::profile
