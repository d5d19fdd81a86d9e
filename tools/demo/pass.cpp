// pass.cpp - see pass.hpp. Runs in the child between fork and _exit.
//
// Order in a plain pass, and what each reading may contain:
//
//   read text once     its pages are mapped before anything counts
//   resident, heap     the state before
//   ---- every word: ++index[key] ------ index_nanoseconds, page faults
//   resident, peak, heap                 the index complete
//   fingerprint        walks the index, not timed
//   ---- ~index ------------------------ free_nanoseconds
//   resident, heap                       the state after
//
// Between the two heap readings nothing but the index allocates, so the heap's
// own count must equal the counting allocator's, to the single allocation.
#include "demo/pass.hpp"

#include <memory>
#include <optional>
#include <string>

#include <malloc.h>

#include "demo/indexes.hpp"
#include "demo/words.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/heap/statistics.hpp"
#include "support/child.hpp"

namespace steady::cli::demo {
namespace {

// ---- the counting reference

struct request_counts {
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;
    std::uint64_t bytes_allocated = 0;
    std::uint64_t bytes_freed = 0;
};

request_counts requests;

template <class T>
struct counting_allocator {
    using value_type = T;

    counting_allocator() = default;
    template <class U>
    counting_allocator(const counting_allocator<U>&) noexcept {}

    T* allocate(std::size_t count) {
        T* memory = std::allocator<T>().allocate(count);
        ++requests.allocations;
        requests.bytes_allocated += count * sizeof(T);
        return memory;
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        ++requests.frees;
        requests.bytes_freed += count * sizeof(T);
        std::allocator<T>().deallocate(memory, count);
    }
    template <class U>
    bool operator==(const counting_allocator<U>&) const noexcept {
        return true;
    }
};

// ---- the index

/// FNV-1a over the word, mixed with its count and added up: the order of the
/// table plays no part, and the figure is the same on every machine.
template <class Index>
fingerprint fingerprint_of(const Index& index) {
    fingerprint found;
    for (const auto& [word, count] : index) {
        std::uint64_t hash = 0xcbf29ce484222325u;
        for (const char c : word) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
        }
        hash ^= count * 0x9e3779b97f4a7c15u;
        hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93u;
        found.checksum += hash ^ (hash >> 32);
        found.words += count;
        ++found.distinct;
    }
    return found;
}

// ---- what the heaps say

struct steady_heap {
    template <class T>
    using allocator = ::steady::allocator<T>;

    static heap_report read() {
        const heap_statistics now = read_statistics();
        return {static_cast<std::int64_t>(now.heap_alloc),
                static_cast<std::int64_t>(now.sys - now.heap_released),
                static_cast<std::int64_t>(now.total_alloc), now.mallocs, now.frees};
    }
};

struct system_heap {
    template <class T>
    using allocator = std::allocator<T>;

    static heap_report read() {
        const struct mallinfo2 now = mallinfo2();
        return {static_cast<std::int64_t>(now.uordblks + now.hblkhd),
                static_cast<std::int64_t>(now.arena + now.hblkhd), 0, 0, 0};
    }
};

struct counted_heap {
    template <class T>
    using allocator = counting_allocator<T>;

    static heap_report read() {
        const auto live =
            static_cast<std::int64_t>(requests.bytes_allocated - requests.bytes_freed);
        return {live, live, static_cast<std::int64_t>(requests.bytes_allocated),
                requests.allocations, requests.frees};
    }
};

heap_report difference(const heap_report& after, const heap_report& before) {
    return {after.live_bytes - before.live_bytes, after.held_bytes - before.held_bytes,
            after.total_bytes - before.total_bytes, after.allocations - before.allocations,
            after.frees - before.frees};
}

process_counts difference(const process_counts& after, const process_counts& before) {
    return {after.cpu_nanoseconds - before.cpu_nanoseconds,
            after.minor_faults - before.minor_faults, after.major_faults - before.major_faults,
            after.forced_switches - before.forced_switches};
}

std::int64_t growth(std::uint64_t after, std::uint64_t before) {
    return static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
}

// ---- the loops

template <class Index>
void index_words(std::string_view text, Index& index) {
    using key = typename Index::key_type;
    word_reader words(text);
    for (std::string_view word; words.read(word);) ++index[key(word)];
}

template <class Clock, class Index>
void index_words_timed(std::string_view text, Index& index, pass_report& report) {
    using key = typename Index::key_type;
    word_reader words(text);
    std::size_t known = 0;
    for (std::string_view word; words.read(word);) {
        const std::uint64_t start = Clock::now();
        ++index[key(word)];
        const std::uint64_t ticks = Clock::now() - start;
        report.every_word.record(ticks);
        if (index.size() != known) {
            known = index.size();
            report.new_words.record(ticks);
        }
    }
}

/// The same loop without its work: what remains is the clock and the machine.
template <class Clock>
void read_words_timed(std::string_view text, pass_report& report) {
    word_reader words(text);
    for (std::string_view word; words.read(word);) {
        const std::uint64_t start = Clock::now();
        asm volatile("" : : "r"(word.data()) : "memory");
        report.every_word.record(Clock::now() - start);
        ++report.seen.words;
    }
}

/// Runs `work` and notes its time and page faults.
template <class Work>
void measure_indexing(pass_report& report, Work&& work) {
    const process_counts before = read_process_counts();
    const std::uint64_t start = monotonic_nanoseconds();
    work();
    report.index_nanoseconds = monotonic_nanoseconds() - start;
    report.indexing = difference(read_process_counts(), before);
}

template <class Heap, class Index>
void index_pass(pass_kind kind, std::string_view text, const clock_facts& clock,
                pass_report& report) {
    const std::uint64_t resident_before = resident_bytes();
    const heap_report heap_before = Heap::read();
    {
        std::optional<Index> index(std::in_place);
        measure_indexing(report, [&] {
            if (kind == pass_kind::plain) return index_words(text, *index);
            with_clock(clock, [&](auto ticks) {
                index_words_timed<decltype(ticks)>(text, *index, report);
            });
        });
        report.indexed = difference(Heap::read(), heap_before);
        report.indexed_resident_bytes = growth(resident_bytes(), resident_before);
        report.peak_resident_bytes = growth(peak_resident_bytes(), resident_before);
        report.seen = fingerprint_of(*index);
        const std::uint64_t start = monotonic_nanoseconds();
        index.reset();
        report.free_nanoseconds = monotonic_nanoseconds() - start;
    }
    report.freed = difference(Heap::read(), heap_before);
    report.freed_resident_bytes = growth(resident_bytes(), resident_before);
}

void control_pass(std::string_view text, const clock_facts& clock, pass_report& report) {
    measure_indexing(report, [&] {
        with_clock(clock, [&](auto ticks) { read_words_timed<decltype(ticks)>(text, report); });
    });
}

}  // namespace

void touch(std::string_view text) {
    constexpr std::size_t smallest_page = 4096;
    for (std::size_t i = 0; i < text.size(); i += smallest_page) {
        asm volatile("" : : "r"(text[i]));
    }
}

const char* name_of(subject who) {
    switch (who) {
        case subject::steady: return "steady";
        case subject::map: return "steady::map";
        case subject::views: return "steady::map, views";
        case subject::abseil: return "absl::flat_hash_map";
        case subject::boost: return "boost::unordered_flat_map";
        case subject::system: return "system";
        case subject::counted: return "counted";
        case subject::control: return "control";
    }
    return "unknown";
}

bool is_available([[maybe_unused]] subject who) {
#if !defined(STEADY_WITH_ABSEIL)
    if (who == subject::abseil) return false;
#endif
#if !defined(STEADY_WITH_BOOST)
    if (who == subject::boost) return false;
#endif
    return true;
}

const char* name_of(pass_kind kind) {
    return kind == pass_kind::plain ? "plain" : "timed";
}

void run_pass(subject who, pass_kind kind, std::string_view text, const clock_facts& clock,
              pass_report& report) {
    // What the parent freed so far goes back first: the child shall not find it.
    malloc_trim(0);
    const std::string name = std::string("the ") + name_of(kind) + " pass on the " + name_of(who) +
                             (who == subject::control ? " loop" : " heap");
    run_in_child(name, report, [&](pass_report& mine) {
        mine = {};  // also gives the child its own copy of these pages
        touch(text);
        switch (who) {
            case subject::steady:
                return index_pass<steady_heap, std_index<steady_heap::allocator>>(kind, text, clock,
                                                                                  mine);
            case subject::map:
                return index_pass<steady_heap, steady_index<steady_heap::allocator>>(kind, text,
                                                                                     clock, mine);
            case subject::views:
                return index_pass<steady_heap, view_index<steady_heap::allocator>>(kind, text,
                                                                                   clock, mine);
            case subject::system:
                return index_pass<system_heap, std_index<system_heap::allocator>>(kind, text, clock,
                                                                                  mine);
            case subject::abseil:
#if defined(STEADY_WITH_ABSEIL)
                return index_pass<system_heap, abseil_index<system_heap::allocator>>(kind, text,
                                                                                     clock, mine);
#else
                return;
#endif
            case subject::boost:
#if defined(STEADY_WITH_BOOST)
                return index_pass<system_heap, boost_index<system_heap::allocator>>(kind, text,
                                                                                    clock, mine);
#else
                return;
#endif
            case subject::counted:
                return index_pass<counted_heap, std_index<counted_heap::allocator>>(kind, text,
                                                                                    clock, mine);
            case subject::control: return control_pass(text, clock, mine);
        }
    });
}

}  // namespace steady::cli::demo
