// growth_bench.cpp - what does it cost to grow one array to 512 MiB by appending?
//
// A program that cannot know how much will come appends, and asks realloc for a
// little more each time: a log buffer, a column of a database, a vector that does
// not double because doubling would need 1.5 times the memory. The array is filled
// as it grows, so the figure contains the page faults and the writes that every heap
// must pay; what differs is how often the heap copies, and on which pages it grows.
//
//   row            one append adds                                     how
//   realloc        4 KiB .. 1 MiB, each power of two contributing      realloc
//                  the same share of the data, interleaved
//   realloc-SIZE   SIZE every time (--step SIZE)                       realloc
//   try_grow[-..]  the same, with --try-grow                           steady::detail::grow_in_place;
//                  realloc only where it refuses
//
// The rows of realloc call it through the PLT, so LD_PRELOAD decides which heap is
// measured. try_grow uses the steady heap that is linked into this program.
//
// Checks  Each append fills its bytes with its number; at the end one byte of every
//         page is compared, after the clock has stopped. A heap that lost or doubled
//         a page ends the program with 1. The checksum is the same for every heap.
// Memory  Peak resident set of the process over the bytes of data: 1.00 is an array
//         and nothing else. One row per process, for a peak never goes down.
// Noise   CPU time of the thread; wall time and the time of other threads beside it.
//         In a virtual machine, memory that was free for two seconds may have gone back
//         to the host, and its first touch then costs the host's page faults: 5 ms per
//         2 MiB were seen, ten times what is measured here, and whoever runs after a slow
//         neighbour paid. So a child process touches twice the data before the clock
//         starts, and ends; --cold leaves that out.

#include "support/clocks.hpp"
#include "support/plain_memory.hpp"
#include "support/which_heap.hpp"

#include "steady/heap/detail/front.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace steady::bench;

constexpr std::size_t kib = 1024;
constexpr std::size_t smallest_step = 4 * kib;
constexpr std::size_t step_count = 9;  // 4 KiB << 0 .. 8 is 1 MiB
constexpr std::size_t page = 4 * kib;

struct request {
    std::size_t data_bytes = 512 * kib * kib;
    std::size_t step = 0;  // 0: mixed
    bool try_grow = false;
    bool json = false;
    bool cold = false;
};

/// Makes the host of a virtual machine back `size` bytes of this machine's free memory.
/// In a child, so that this process's peak stays that of its array.
void warm_the_host(std::size_t size) {
    const pid_t child = fork();
    if (child == 0) {
        void* memory =
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) {
            madvise(memory, size, MADV_HUGEPAGE);
            for (std::size_t at = 0; at < size; at += page) {
                static_cast<volatile unsigned char*>(memory)[at] = 1;
            }
        }
        _exit(0);
    }
    if (child > 0) {
        waitpid(child, nullptr, 0);
    }
}

/// The sizes of the appends, one after the other; the same for every heap.
class append_sizes {
public:
    explicit append_sizes(std::size_t fixed) : fixed_(fixed) {}

    std::size_t next() {
        if (fixed_ != 0) {
            return fixed_;
        }
        // The step that has contributed least so far; the larger one when they are level,
        // so that small appends come at every size of the array.
        std::size_t chosen = 0;
        for (std::size_t i = 1; i < step_count; ++i) {
            if (given_[i] <= given_[chosen]) {
                chosen = i;
            }
        }
        given_[chosen] += smallest_step << chosen;
        return smallest_step << chosen;
    }

private:
    std::size_t fixed_;
    std::size_t given_[step_count] = {};
};

unsigned char fill_of(std::size_t append) {
    return static_cast<unsigned char>(append % 251 + 1);
}

struct outcome {
    std::uint64_t cpu_ns = 0, others_ns = 0, wall_ns = 0;
    std::uint64_t checksum = 0;
    std::size_t appends = 0, moves = 0;
};

unsigned char* checked(void* block, std::size_t size) {
    if (block == nullptr) {
        std::fprintf(stderr,
                     "growth_bench: the heap refused %zu bytes; the figures would mean nothing. "
                     "Give the machine more memory, or --data less.\n",
                     size);
        std::exit(1);
    }
    return static_cast<unsigned char*>(block);
}

unsigned char* grow_by_realloc(unsigned char* array, std::size_t size) {
    return checked(std::realloc(array, size), size);
}

unsigned char* try_to_grow(unsigned char* array, std::size_t size) {
    if (array != nullptr && steady::detail::grow_in_place(array, size)) {
        return array;
    }
    void* block =
        array == nullptr ? steady::detail::allocate(size) : steady::detail::reallocate(array, size);
    return checked(block, size);
}

template <class Grow>
outcome run(const request& asked, Grow grow) {
    outcome o;
    append_sizes sizes(asked.step);
    unsigned char* array = nullptr;
    const std::uint64_t cpu = thread_cpu_ns(), all = process_cpu_ns(), wall = wall_ns();
    for (std::size_t size = 0; size < asked.data_bytes; ++o.appends) {
        const std::size_t step = sizes.next();
        unsigned char* const grown = grow(array, size + step);
        o.moves += array != nullptr && grown != array;
        array = grown;
        std::memset(array + size, fill_of(o.appends), step);
        escape(array);
        size += step;
    }
    o.cpu_ns = thread_cpu_ns() - cpu;
    const std::uint64_t everybody = process_cpu_ns() - all;
    o.others_ns = everybody > o.cpu_ns ? everybody - o.cpu_ns : 0;
    o.wall_ns = wall_ns() - wall;

    append_sizes again(asked.step);
    std::size_t at = 0;
    for (std::size_t append = 0; append < o.appends; ++append) {
        for (const std::size_t end = at + again.next(); at < end; at += page) {
            if (array[at] != fill_of(append)) {
                std::fprintf(stderr,
                             "growth_bench: byte %zu is %u, append %zu wrote %u. The heap lost "
                             "contents while growing.\n",
                             at, array[at], append, fill_of(append));
                std::exit(1);
            }
            o.checksum = o.checksum * 31 + array[at];
        }
    }
    return o;
}

void name_row(const request& asked, char* row, std::size_t capacity) {
    const char* how = asked.try_grow ? "try_grow" : "realloc";
    if (asked.step == 0) {
        std::snprintf(row, capacity, "%s", how);
    } else if (asked.step < kib * kib) {
        std::snprintf(row, capacity, "%s-%zuKiB", how, asked.step / kib);
    } else {
        std::snprintf(row, capacity, "%s-%zuMiB", how, asked.step / (kib * kib));
    }
}

void print(const request& asked, const outcome& o) {
    char row[40];
    name_row(asked, row, sizeof row);
    const char* heap = asked.try_grow ? "steady, linked in" : malloc_provider();
    const std::uint64_t peak = peak_resident_bytes();
    const double cpu = static_cast<double>(o.cpu_ns) / 1e6;
    const double others = static_cast<double>(o.others_ns) / 1e6;
    const double wall = static_cast<double>(o.wall_ns) / 1e6;
    const double ratio = static_cast<double>(peak) / static_cast<double>(asked.data_bytes);
    if (asked.json) {
        std::printf(
            "{\"row\": \"%s\", \"heap\": \"%s\", \"compiler\": \"%s\", \"flags\": \"%s\", "
            "\"cpu_ms\": %.3f, \"other_threads_ms\": %.3f, \"wall_ms\": %.3f, "
            "\"appends\": %zu, \"moves\": %zu, \"checksum\": \"%016" PRIx64
            "\", "
            "\"data_bytes\": %zu, \"peak_resident\": %" PRIu64 "}\n",
            row, heap, compiler(), build_flags(), cpu, others, wall, o.appends, o.moves, o.checksum,
            asked.data_bytes, peak);
        return;
    }
    std::printf("%-16s %9s %9s %9s %9s %7s %10s  heap\n", "row", "cpu ms", "others ms", "wall ms",
                "appends", "moves", "peak/data");
    std::printf("%-16s %9.1f %9.1f %9.1f %9zu %7zu %10.3f  %s\n", row, cpu, others, wall, o.appends,
                o.moves, ratio, heap);
}

int usage(const char* seen) {
    std::fprintf(
        stderr,
        "growth_bench: did not understand '%s'.\n  growth_bench [--try-grow] [--step SIZE] "
        "[--data SIZE] [--cold] [--json]\n  SIZE is a number of bytes, or with KiB, MiB or GiB; "
        "a multiple of 4 KiB.\n",
        seen);
    return 2;
}

/// Returns 0 when the text is no size.
std::size_t parse_size(const char* text) {
    char* end = nullptr;
    std::size_t size = std::strtoull(text, &end, 10);
    if (std::strcmp(end, "KiB") == 0) {
        size *= kib;
    } else if (std::strcmp(end, "MiB") == 0) {
        size *= kib * kib;
    } else if (std::strcmp(end, "GiB") == 0) {
        size *= kib * kib * kib;
    } else if (*end != '\0') {
        return 0;
    }
    return size % page == 0 ? size : 0;
}

}  // namespace

int main(int argc, char** argv) {
    request asked;
    for (int i = 1; i < argc; ++i) {
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (std::strcmp(argv[i], "--json") == 0) {
            asked.json = true;
        } else if (std::strcmp(argv[i], "--try-grow") == 0) {
            asked.try_grow = true;
        } else if (std::strcmp(argv[i], "--cold") == 0) {
            asked.cold = true;
        } else if (std::strcmp(argv[i], "--step") == 0 && parse_size(value) != 0) {
            asked.step = parse_size(value);
            ++i;
        } else if (std::strcmp(argv[i], "--data") == 0 && parse_size(value) != 0) {
            asked.data_bytes = parse_size(value);
            ++i;
        } else {
            return usage(argv[i]);
        }
    }
    if (!asked.cold) {
        warm_the_host(2 * asked.data_bytes);
    }
    print(asked, asked.try_grow ? run(asked, try_to_grow) : run(asked, grow_by_realloc));
    return 0;
}
