// malloc_threads.cpp - what does malloc and its free cost when threads share them?
//
// Like malloc_micro, it calls malloc and free through the PLT and nothing of
// steady; bench/heap/compare --threads runs it under each heap in turn. What the
// rows do is said in thread_patterns.hpp; this file holds the clock.
//
// Figures  cpu: CPU time of the process per malloc+free, the caller's bill.
//          wall: elapsed time per malloc+free. It means something on an idle
//          machine only. peak: the resident set at its largest.
// Noise    8 threads on fewer CPUs is the case to look at: a heap that spins on a
//          lock whose holder sleeps burns CPU time here and nowhere else.

#include "heap/thread_patterns.hpp"
#include "support/clocks.hpp"
#include "support/statistics.hpp"
#include "support/which_heap.hpp"

#include <cstring>

namespace {

using namespace steady::bench;

constexpr std::size_t most_repetitions = 200;

struct outcome {
    std::size_t pairs = 0;
    distribution cpu;   // ns of the process's CPU time per pair
    distribution wall;  // ns elapsed per pair
    std::uint64_t checksum = 0;
};

template <class Pattern>
outcome run(std::size_t repetitions) {
    static double cpu[most_repetitions];
    static double wall[most_repetitions];
    static Pattern pattern;
    outcome result;
    result.pairs = Pattern::pairs;
    result.checksum = pattern.repeat();  // the warm-up
    for (std::size_t i = 0; i < repetitions; ++i) {
        const std::uint64_t cpu_start = process_cpu_ns();
        const std::uint64_t wall_start = wall_ns();
        result.checksum = result.checksum * 31 + pattern.repeat();
        wall[i] = static_cast<double>(wall_ns() - wall_start) / Pattern::pairs;
        cpu[i] = static_cast<double>(process_cpu_ns() - cpu_start) / Pattern::pairs;
    }
    result.cpu = distribution_of(cpu, repetitions);
    result.wall = distribution_of(wall, repetitions);
    return result;
}

struct row {
    const char* name;
    outcome (*run)(std::size_t repetitions);
};

constexpr row rows[] = {
    {"own-2", run<own<2>>},           {"own-8", run<own<8>>},
    {"handover-2", run<handover<2>>}, {"handover-8", run<handover<8>>},
    {"exchange-2", run<exchange<2>>}, {"exchange-8", run<exchange<8>>},
    {"larson-2", run<larson<2>>},     {"larson-8", run<larson<8>>},
    {"starts-2", run<starts<2>>},     {"starts-8", run<starts<8>>},
};

void print(const char* name, const outcome& o, std::size_t repetitions, bool json) {
    const std::uint64_t peak = peak_resident_bytes();
    if (!json) {
        std::printf("%-12s cpu %8.2f (min %.2f, max %.2f)  wall %8.2f  peak %6.1f MiB  %016" PRIx64
                    "\n",
                    name, o.cpu.median, o.cpu.minimum, o.cpu.maximum, o.wall.median,
                    static_cast<double>(peak) / (1 << 20), o.checksum);
        return;
    }
    std::printf(
        "{\"row\": \"%s\", \"heap\": \"%s\", \"compiler\": \"%s\", \"flags\": \"%s\", "
        "\"pairs\": %zu, \"repetitions\": %zu, \"minimum_ns\": %.4f, \"median_ns\": %.4f, "
        "\"maximum_ns\": %.4f, \"wall_median_ns\": %.4f, \"checksum\": \"%016" PRIx64
        "\", "
        "\"peak_resident\": %" PRIu64 "}\n",
        name, malloc_provider(), compiler(), build_flags(), o.pairs, repetitions, o.cpu.minimum,
        o.cpu.median, o.cpu.maximum, o.wall.median, o.checksum, peak);
}

int usage(const char* seen) {
    std::fprintf(stderr,
                 "malloc_threads: did not understand '%s'.\n"
                 "  malloc_threads --row NAME [--repetitions N (1..%zu)] [--json]\n  rows:",
                 seen, most_repetitions);
    for (const row& each : rows) {
        std::fprintf(stderr, " %s", each.name);
    }
    std::fprintf(stderr, "\n");
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    const row* wanted = nullptr;
    std::size_t repetitions = 5;
    bool json = false;
    for (int i = 1; i < argc; ++i) {
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (std::strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (std::strcmp(argv[i], "--repetitions") == 0) {
            repetitions = std::strtoull(value, nullptr, 10);
            if (repetitions < 1 || repetitions > most_repetitions) {
                return usage(value);
            }
            ++i;
        } else if (std::strcmp(argv[i], "--row") == 0) {
            for (const row& each : rows) {
                if (std::strcmp(each.name, value) == 0) {
                    wanted = &each;
                }
            }
            if (wanted == nullptr) {
                return usage(value);
            }
            ++i;
        } else {
            return usage(argv[i]);
        }
    }
    if (wanted == nullptr) {
        return usage("no --row");
    }
    print(wanted->name, wanted->run(repetitions), repetitions, json);
    return 0;
}
