// malloc_micro.cpp - what does one malloc and its free cost, in ten patterns?
//
// The program calls nothing of steady. It calls malloc, calloc and free through
// the PLT like any program, so LD_PRELOAD decides which heap is measured, and
// bench/heap/compare runs it under each heap in turn. What the rows do is said
// in malloc_patterns.hpp; this file holds the clock.
//
//   ns per pair  = thread CPU time of one repetition / pairs of that repetition
//   first        = the warm-up repetition, which holds most of the page faults
//   min med max  = over the repetitions after it
//   others       = CPU time of the process's other threads, per pair
//
// Why CPU time: wall time on a shared machine measures the neighbours. Why
// `others`: a heap that frees in the background must not look faster than it is.
// Each row runs in a process of its own, so no row inherits the heap that
// another one left behind.

#include "heap/malloc_patterns.hpp"
#include "support/statistics.hpp"
#include "support/which_heap.hpp"

#include <cstring>
#include <iterator>
#include <sys/wait.h>

namespace {

using namespace steady::bench;

constexpr std::size_t most_repetitions = 1000;

struct outcome {
    std::size_t pairs = 0;
    std::size_t repetitions = 0;
    double first = 0;     // ns per pair of the warm-up, page faults included
    distribution thread;  // ns per pair, CPU time of the caller
    double others = 0;    // ns per pair, CPU time of the process's other threads
    std::uint64_t checksum = 0;
    std::uint64_t resident_filled = 0;
    std::uint64_t resident_churned = 0;
};

template <class Pattern>
outcome run(std::size_t repetitions) {
    static double samples[most_repetitions];
    Pattern pattern;
    outcome result;
    result.pairs = Pattern::pairs;
    result.repetitions = repetitions;
    const auto per_pair = [](std::uint64_t nanoseconds) {
        return static_cast<double>(nanoseconds) / Pattern::pairs;
    };

    const std::uint64_t warm_up = thread_cpu_ns();
    pattern.repeat();
    result.first = per_pair(thread_cpu_ns() - warm_up);

    const std::uint64_t process_start = process_cpu_ns();
    const std::uint64_t thread_start = thread_cpu_ns();
    for (std::size_t i = 0; i < repetitions; ++i) {
        const std::uint64_t start = thread_cpu_ns();
        pattern.repeat();
        samples[i] = per_pair(thread_cpu_ns() - start);
    }
    const std::uint64_t thread_used = thread_cpu_ns() - thread_start;
    const std::uint64_t process_used = process_cpu_ns() - process_start;
    result.thread = distribution_of(samples, repetitions);
    if (process_used > thread_used) {
        result.others = per_pair(process_used - thread_used) / static_cast<double>(repetitions);
    }
    result.checksum = pattern.answer();
    if constexpr (requires { pattern.resident_filled; }) {
        result.resident_filled = pattern.resident_filled;
        result.resident_churned = pattern.resident_churned;
    }
    return result;
}

struct row {
    const char* name;
    outcome (*run)(std::size_t repetitions);
};

constexpr row rows[] = {
    {"pair-16", run<pair_16>},
    {"pair-mixed", run<pair_mixed>},
    {"lifo-100", run<batch<order::newest_first, 100>>},
    {"fifo-100", run<batch<order::oldest_first, 100>>},
    {"fifo-10k", run<batch<order::oldest_first, 10'000>>},
    {"replace-1k", run<replace<1'000>>},
    {"replace-100k", run<replace<100'000>>},
    {"replace-1M", run<replace<1'000'000>>},
    {"calloc-256", run<calloc_256>},
    {"list-1M", run<list_1M>},
    {"replace-1M-blind", run<replace<1'000'000, before_free::nothing>>},
};

void print_table_head() {
    std::printf("heap: %s\ncompiler: %s, %s\n%-16s %8s %8s %8s %8s %8s  %s\n", malloc_provider(),
                compiler(), build_flags(), "ns per pair", "min", "median", "max", "first", "others",
                "checksum");
}

void print_text(const char* name, const outcome& o) {
    std::printf("%-16s %8.2f %8.2f %8.2f %8.2f %8.2f  %016" PRIx64, name, o.thread.minimum,
                o.thread.median, o.thread.maximum, o.first, o.others, o.checksum);
    if (o.resident_filled != 0) {
        std::printf("  resident %.1f MiB filled, %.1f MiB after",
                    static_cast<double>(o.resident_filled) / (1 << 20),
                    static_cast<double>(o.resident_churned) / (1 << 20));
    }
    std::printf("\n");
}

// One object per line, so that a reader needs no array and a crash leaves the rows before it.
void print_json(const char* name, const outcome& o) {
    std::printf(
        "{\"row\": \"%s\", \"heap\": \"%s\", \"compiler\": \"%s\", \"flags\": \"%s\", "
        "\"pairs\": %zu, \"repetitions\": %zu, \"minimum_ns\": %.4f, \"median_ns\": %.4f, "
        "\"maximum_ns\": %.4f, \"first_ns\": %.4f, \"other_threads_ns\": %.4f, "
        "\"checksum\": \"%016" PRIx64 "\", \"resident_filled\": %" PRIu64
        ", "
        "\"resident_churned\": %" PRIu64 ", \"peak_resident\": %" PRIu64 "}\n",
        name, malloc_provider(), compiler(), build_flags(), o.pairs, o.repetitions,
        o.thread.minimum, o.thread.median, o.thread.maximum, o.first, o.others, o.checksum,
        o.resident_filled, o.resident_churned, peak_resident_bytes());
}

int usage(const char* seen) {
    std::fprintf(stderr,
                 "malloc_micro: did not understand '%s'.\n  malloc_micro [--row NAME]... "
                 "[--repetitions N (1..%zu)] [--json]\n  rows:",
                 seen, most_repetitions);
    for (const row& each : rows) {
        std::fprintf(stderr, " %s", each.name);
    }
    std::fprintf(stderr, "\n");
    return 2;
}

struct request {
    bool wanted[std::size(rows)] = {};
    std::size_t count = 0;  // of wanted rows
    std::size_t repetitions = 25;
    bool json = false;
    bool bare = false;  // no table head: set for the process of one row among several
};

void run_here(const request& asked) {
    for (std::size_t r = 0; r < std::size(rows); ++r) {
        if (!asked.wanted[r]) {
            continue;
        }
        if (!asked.json && !asked.bare) {
            print_table_head();
        }
        const outcome result = rows[r].run(asked.repetitions);
        asked.json ? print_json(rows[r].name, result) : print_text(rows[r].name, result);
    }
}

// Starts this program again for each row. Returns 1 when any of them failed.
int run_each_in_its_own_process(const request& asked) {
    int failed = 0;
    if (!asked.json) {
        print_table_head();
    }
    char repetitions[24];
    std::snprintf(repetitions, sizeof repetitions, "%zu", asked.repetitions);
    for (std::size_t r = 0; r < std::size(rows); ++r) {
        if (!asked.wanted[r]) {
            continue;
        }
        std::fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "malloc_micro", "--row", rows[r].name, "--repetitions",
                  repetitions, asked.json ? "--json" : "--bare", static_cast<char*>(nullptr));
            _exit(127);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            std::fprintf(
                stderr, "malloc_micro: row %s ended with wait status 0x%x; expected exit code 0.\n",
                rows[r].name, static_cast<unsigned>(status));
            failed = 1;
        }
    }
    return failed;
}

}  // namespace

int main(int argc, char** argv) {
    request asked;
    for (int i = 1; i < argc; ++i) {
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (std::strcmp(argv[i], "--json") == 0) {
            asked.json = true;
        } else if (std::strcmp(argv[i], "--bare") == 0) {
            asked.bare = true;
        } else if (std::strcmp(argv[i], "--repetitions") == 0) {
            asked.repetitions = std::strtoull(value, nullptr, 10);
            if (asked.repetitions < 1 || asked.repetitions > most_repetitions) {
                return usage(value);
            }
            ++i;
        } else if (std::strcmp(argv[i], "--row") == 0) {
            bool known = false;
            for (std::size_t r = 0; r < std::size(rows); ++r) {
                if (std::strcmp(rows[r].name, value) != 0) {
                    continue;
                }
                known = true;
                if (!asked.wanted[r]) {
                    ++asked.count;
                }
                asked.wanted[r] = true;
            }
            if (!known) {
                return usage(value);
            }
            ++i;
        } else {
            return usage(argv[i]);
        }
    }
    if (asked.count == 0) {
        for (bool& each : asked.wanted) {
            each = true;
        }
        asked.count = std::size(rows);
    }
    if (asked.count > 1) {
        return run_each_in_its_own_process(asked);
    }
    run_here(asked);
    return 0;
}
