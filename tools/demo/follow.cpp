// follow.cpp - see follow.hpp. Runs in the child between fork and _exit.
#include "demo/follow.hpp"

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

#include <malloc.h>
#include <sys/resource.h>

#include "demo/indexes.hpp"
#include "demo/words.hpp"
#include "steady/core/hooks.hpp"
#include "steady/heap/allocator.hpp"
#include "support/child.hpp"

namespace steady::cli::demo {
namespace {

struct counters {
    std::uint64_t minor = 0, major = 0, forced = 0, own = 0;
    std::uint64_t cpu = 0;
};

std::uint64_t thread_cpu() noexcept {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

void read_usage(counters& into) noexcept {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    into.minor = static_cast<std::uint64_t>(usage.ru_minflt);
    into.major = static_cast<std::uint64_t>(usage.ru_majflt);
    into.forced = static_cast<std::uint64_t>(usage.ru_nivcsw);
    into.own = static_cast<std::uint64_t>(usage.ru_nvcsw);
}

/// CPU time between two readings with nothing between them: what they cost themselves.
std::uint64_t cost_of_reading() {
    std::uint64_t least = ~std::uint64_t{0};
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t before = thread_cpu();
        least = std::min(least, thread_cpu() - before);
    }
    return least;
}

/// What the growth hook said since it was last asked.
struct growth_watch {
    std::uint64_t events = 0, moved = 0, nanoseconds = 0;

    growth_watch() {
        growth_hook.install(
            [](void* me, const growth_event& e) {
                auto& w = *static_cast<growth_watch*>(me);
                ++w.events;
                w.moved += e.entries_moved;
                w.nanoseconds += e.nanoseconds;
            },
            this);
    }
    ~growth_watch() { growth_hook.remove(); }
    growth_watch(const growth_watch&) = delete;
    growth_watch& operator=(const growth_watch&) = delete;
    void reset() { events = moved = nanoseconds = 0; }
};

/// Stands for a map in the control loop.
struct no_index {
    std::uint64_t entries = 0;
    std::size_t size() const { return entries; }
};

template <class Index>
std::uint64_t capacity_of(const Index& index) {
    if constexpr (requires { index.bucket_count(); }) return index.bucket_count();
    return 0;
}

template <class Index>
void insert(Index& index, std::string_view word) {
    if constexpr (std::is_same_v<Index, no_index>) {
        asm volatile("" : : "r"(word.data()) : "memory");
    } else {
        ++index[typename Index::key_type(word)];
    }
}

cause cause_of(const slow_insert& seen) {
    const std::uint64_t on_cpu = std::min(seen.cpu_nanoseconds, seen.nanoseconds);
    const bool away = (seen.nanoseconds - on_cpu) * 2 > seen.nanoseconds;
    if (away && seen.forced_switches > 0) return cause::preempted;
    if (seen.grew) return cause::growth;
    if (seen.minor_faults + seen.major_faults > 0) return cause::page_fault;
    if (away) return cause::waited;
    return cause::outside;
}

/// Keeps the slowest, the slowest first.
void keep_slowest(follow_summary& sum, const slow_insert& seen) {
    auto& kept = sum.slowest;
    if (seen.nanoseconds <= kept.back().nanoseconds) return;
    kept.back() = seen;
    for (std::size_t i = kept.size() - 1; i > 0 && kept[i - 1].nanoseconds < kept[i].nanoseconds;
         --i) {
        std::swap(kept[i - 1], kept[i]);
    }
}

template <class Clock, class Index>
void follow_index(std::string_view text, const clock_facts& clock,
                  std::span<const std::uint8_t> is_new, std::uint64_t distinct, followed& into,
                  follow_summary& sum) {
    constexpr bool ours = requires(const Index& i) {
        i.memory();
    };  // announces its growth
    const std::uint64_t resident_before = resident_bytes();
    const std::uint64_t reading = cost_of_reading();
    const std::uint64_t samples = into.samples.size() - 1;
    std::optional<Index> index(std::in_place);
    growth_watch grown;
    counters first;
    read_usage(first);
    std::uint64_t next_sample = 0;
    word_reader words(text);
    std::size_t position = 0;
    for (std::string_view word; words.read(word);) {
        if (is_new[position++] == 0) {
            if constexpr (!std::is_same_v<Index, no_index>) insert(*index, word);
            continue;
        }
        slow_insert seen{};
        seen.capacity_before = capacity_of(*index);
        grown.reset();
        counters before;
        counters after;
        read_usage(before);
        before.cpu = thread_cpu();
        const std::uint64_t start = Clock::now();
        insert(*index, word);
        const std::uint64_t ticks = Clock::now() - start;
        after.cpu = thread_cpu();
        read_usage(after);
        if constexpr (std::is_same_v<Index, no_index>) ++index->entries;
        seen.entries = index->size();
        seen.nanoseconds = static_cast<std::uint64_t>(clock.nanoseconds(ticks));
        const std::uint64_t cpu = after.cpu - before.cpu;
        seen.cpu_nanoseconds = cpu > reading ? cpu - reading : 0;
        seen.minor_faults = after.minor - before.minor;
        seen.major_faults = after.major - before.major;
        seen.forced_switches = after.forced - before.forced;
        seen.own_switches = after.own - before.own;
        seen.capacity_after = capacity_of(*index);
        seen.grew = grown.events > 0 || seen.capacity_after != seen.capacity_before;
        if constexpr (ours) {
            seen.entries_moved = grown.moved;
            seen.growth_nanoseconds = grown.nanoseconds;
        } else {
            seen.entries_moved = seen.grew ? seen.entries - 1 : 0;
        }
        const auto stored = [](std::uint64_t value) {
            return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xffffffffu));
        };
        into.nanoseconds[sum.inserts] = stored(seen.nanoseconds);
        into.undisturbed[sum.inserts] =
            stored(seen.forced_switches > 0 ? std::min(seen.cpu_nanoseconds, seen.nanoseconds)
                                            : seen.nanoseconds);
        ++sum.inserts;
        sum.forced_switches += seen.forced_switches;
        if (seen.grew) {
            ++sum.growths;
            sum.growth_nanoseconds += into.undisturbed[sum.inserts - 1];
            sum.most_moved = std::max(sum.most_moved, seen.entries_moved);
            if (sum.steps < into.steps.size()) {
                into.steps[sum.steps++] = {seen.entries, seen.nanoseconds,
                                           into.undisturbed[sum.inserts - 1], seen.entries_moved};
            }
        }
        seen.why = cause_of(seen);
        keep_slowest(sum, seen);
        if (sum.inserts >= next_sample) {
            into.samples[sum.samples++] = {sum.inserts,
                                           static_cast<std::int64_t>(resident_bytes()) -
                                               static_cast<std::int64_t>(resident_before),
                                           after.minor - first.minor};
            next_sample = distinct * sum.samples / samples;
        }
    }
    counters last;
    read_usage(last);
    sum.minor_faults = last.minor - first.minor;
}

template <class Index>
void follow_with(const clock_facts& clock, std::string_view text,
                 std::span<const std::uint8_t> is_new, std::uint64_t distinct, followed& into,
                 follow_summary& sum) {
    with_clock(clock, [&](auto ticks) {
        follow_index<decltype(ticks), Index>(text, clock, is_new, distinct, into, sum);
    });
}

// ---- the accounting allocator

struct request_sums {
    std::uint64_t table = 0, nodes = 0, text = 0, peak = 0, allocations = 0;
    void note() { peak = std::max(peak, table + nodes + text); }
};
request_sums requested;

template <class T>
struct accounting_allocator {
    using value_type = T;

    accounting_allocator() = default;
    template <class U>
    accounting_allocator(const accounting_allocator<U>&) noexcept {}

    /// Text for char, nodes for one object that is no pointer, tables for the rest. The
    /// flat maps ask for bytes of another type than char, or for several at once.
    static std::uint64_t& part(std::size_t count) {
        if constexpr (std::is_same_v<T, char>) return requested.text;
        if constexpr (std::is_pointer_v<T>) return requested.table;
        return count == 1 ? requested.nodes : requested.table;
    }
    T* allocate(std::size_t count) {
        T* memory = std::allocator<T>().allocate(count);
        part(count) += count * sizeof(T);
        ++requested.allocations;
        requested.note();
        return memory;
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        part(count) -= count * sizeof(T);
        std::allocator<T>().deallocate(memory, count);
    }
    template <class U>
    bool operator==(const accounting_allocator<U>&) const noexcept {
        return true;
    }
};

template <class Index>
void account_index(std::string_view text, byte_account& into) {
    Index index;
    word_reader words(text);
    for (std::string_view word; words.read(word);) ++index[typename Index::key_type(word)];
    into.entries = index.size() * sizeof(typename Index::value_type);
    into.table = requested.table;
    into.nodes = requested.nodes;
    into.text = requested.text;
    into.peak = requested.peak;
    into.allocations = requested.allocations;
    if constexpr (requires { index.memory(); }) {
        const map_memory parts = index.memory();
        into.groups = parts.groups.count();
        into.slots = parts.slots.count();
        into.unused = parts.unused.count();
        into.overflow = parts.overflow.count();
        into.control = parts.control.count();
        into.nodes = parts.nodes.count();
        into.table = requested.table + requested.nodes - into.nodes;
        into.room = index.stats().slots;
    }
}

template <class T>
using own_allocator = ::steady::allocator<T>;
template <class T>
using plain_allocator = std::allocator<T>;

/// Calls body with the type of the map, as it stands on its own heap.
template <class Body>
void with_index(subject who, Body&& body) {
    switch (who) {
        case subject::steady: return body(std::type_identity<std_index<own_allocator>>{});
        case subject::map: return body(std::type_identity<steady_index<own_allocator>>{});
        case subject::views: return body(std::type_identity<view_index<own_allocator>>{});
        case subject::system: return body(std::type_identity<std_index<plain_allocator>>{});
        case subject::abseil:
#if defined(STEADY_WITH_ABSEIL)
            return body(std::type_identity<abseil_index<plain_allocator>>{});
#endif
            return;
        case subject::boost:
#if defined(STEADY_WITH_BOOST)
            return body(std::type_identity<boost_index<plain_allocator>>{});
#endif
            return;
        case subject::counted: return;
        case subject::control: return body(std::type_identity<no_index>{});
    }
}

template <class Body>
void with_accounted_index(subject who, Body&& body) {
    switch (who) {
        case subject::map: return body(std::type_identity<steady_index<accounting_allocator>>{});
        case subject::views: return body(std::type_identity<view_index<accounting_allocator>>{});
        case subject::steady:
        case subject::system: return body(std::type_identity<std_index<accounting_allocator>>{});
        case subject::abseil:
#if defined(STEADY_WITH_ABSEIL)
            return body(std::type_identity<abseil_index<accounting_allocator>>{});
#endif
            return;
        case subject::boost:
#if defined(STEADY_WITH_BOOST)
            return body(std::type_identity<boost_index<accounting_allocator>>{});
#endif
            return;
        case subject::counted:
        case subject::control: return;
    }
}

}  // namespace

const char* name_of(cause why) {
    switch (why) {
        case cause::preempted: return "preempted";
        case cause::growth: return "growth step";
        case cause::page_fault: return "page fault";
        case cause::waited: return "waited";
        case cause::outside: return "outside";
    }
    return "unknown";
}

shared_pages<std::uint8_t> mark_new_words(std::string_view text, std::uint64_t words) {
    shared_pages<std::uint8_t> marks(words);
    bool done = false;
    run_in_child("the search for new words", done, [&](bool& mine) {
        view_index<own_allocator> index;
        word_reader reader(text);
        std::size_t position = 0;
        for (std::string_view word; reader.read(word); ++position) {
            marks[position] = index.try_emplace(word, 0).second ? 1 : 0;
        }
        mine = true;
    });
    return marks;
}

followed follow(subject who, std::string_view text, const shared_pages<std::uint8_t>& is_new,
                std::uint64_t distinct, const clock_facts& clock) {
    constexpr std::size_t samples = 400;
    malloc_trim(0);
    followed result{
        who, shared_pages<std::uint32_t>(distinct), shared_pages<std::uint32_t>(distinct),
        shared_pages<growth_step>(distinct / 8 + 64), shared_pages<memory_sample>(samples + 1)};
    run_in_child(std::string("following ") + name_of(who), result.sum, [&](follow_summary& mine) {
        mine = {};
        touch(text);
        touch({reinterpret_cast<const char*>(is_new.values().data()), is_new.size()});
        with_index(who, [&](auto type) {
            follow_with<typename decltype(type)::type>(clock, text, is_new.values(), distinct,
                                                       result, mine);
        });
    });
    return result;
}

byte_account account(subject who, std::string_view text) {
    byte_account result{};
    run_in_child(std::string("the accounting of ") + name_of(who), result, [&](byte_account& mine) {
        mine = {};
        with_accounted_index(
            who, [&](auto type) { account_index<typename decltype(type)::type>(text, mine); });
    });
    return result;
}

}  // namespace steady::cli::demo
