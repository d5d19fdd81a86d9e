// kernel_costs.cpp - E-07 and E-08: what changing page tables costs while other threads run, and
// what the first write to a page shared by fork costs.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "support/exit_code.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::size_t page = 4096;

char* map_pages(std::size_t count) {
    void* p =
        mmap(nullptr, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw check_failure(fmt::format("no memory: {}", std::strerror(errno)));
    madvise(p, count * page, MADV_NOHUGEPAGE);
    return static_cast<char*>(p);
}

void touch(char* pages, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) pages[i * page] = 1;
}

/// Reads of data that missed the TLB, where the kernel and the hypervisor let us count.
class tlb_misses {
public:
    tlb_misses() {
        perf_event_attr wanted{};
        wanted.type = PERF_TYPE_HW_CACHE;
        wanted.size = sizeof wanted;
        wanted.config = PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 |
                        PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
        wanted.exclude_kernel = 1;
        file_ = static_cast<int>(syscall(SYS_perf_event_open, &wanted, 0, -1, -1, 0));
        error_ = errno;
    }
    ~tlb_misses() {
        if (file_ >= 0) close(file_);
    }
    tlb_misses(const tlb_misses&) = delete;
    tlb_misses& operator=(const tlb_misses&) = delete;
    [[nodiscard]] bool possible() const { return file_ >= 0; }
    [[nodiscard]] const char* why_not() const { return std::strerror(error_); }
    [[nodiscard]] std::uint64_t read() const {
        std::uint64_t value = 0;
        return ::read(file_, &value, sizeof value) == sizeof value ? value : 0;
    }

private:
    int file_;
    int error_;
};

void tlb(laboratory& lab) {
    const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
    const tlb_misses counter;
    constexpr std::size_t pages = 64;
    constexpr int loops = 2'000;
    for (unsigned others = 0; others < cpus + 1; ++others) {
        std::atomic<bool> stop{false};
        std::vector<std::thread> running;
        char* const shared = map_pages(pages);
        touch(shared, pages);
        for (unsigned i = 0; i < others; ++i) {
            running.emplace_back([&] {
                // relaxed: only says when to stop.
                while (!stop.load(std::memory_order_relaxed)) {
                    for (std::size_t k = 0; k < pages; ++k) keep(shared + k * page);
                }
            });
        }
        const auto time = [&](auto&& work) {
            std::vector<double> found;
            for (int i = 0; i < loops; ++i) found.push_back(wall_nanoseconds_of(work));
            return summarise(found).median;
        };
        const char* const reported = others == 0   ? "0.3 us, no flush"
                                     : others == 1 ? "4.2 us, local"
                                                   : "15.7 us, global";
        lab.figure(fmt::format("{} other thread{}: mprotect twice, 64 pages", others,
                               others == 1 ? "" : "s"),
                   time([&] {
                       mprotect(shared, pages * page, PROT_READ);
                       mprotect(shared, pages * page, PROT_READ | PROT_WRITE);
                   }),
                   unit::nanoseconds, {.reported = reported});
        lab.figure(fmt::format("{} other thread{}: map, touch and unmap one page", others,
                               others == 1 ? "" : "s"),
                   time([&] {
                       char* const p = map_pages(1);
                       *p = 1;
                       munmap(p, page);
                   }),
                   unit::nanoseconds);
        stop.store(true, std::memory_order_relaxed);
        for (std::thread& t : running) t.join();
        munmap(shared, pages * page);
    }
    // How far a walk over many pages depends on the TLB: the same reads, near and far.
    constexpr std::size_t far_pages = 16'384;
    char* const far = map_pages(far_pages);
    touch(far, far_pages);
    const auto walk = [&](std::size_t count) {
        std::size_t at = 0;
        const std::uint64_t before = counter.possible() ? counter.read() : 0;
        const double each = nanoseconds_each(200'000, [&] {
            for (int i = 0; i < 200'000; ++i) {
                // Where to read next depends on what was read, or the processor would have
                // several reads under way. The place in the page differs, or the pages
                // would share a few sets of the cache.
                const char read = far[at * page + at % 64 * 64];
                at = (at * 5 + 7 + static_cast<unsigned char>(read)) % count;
            }
            keep(at);
        });
        if (counter.possible()) {
            lab.figure(fmt::format("reads over {} pages: TLB misses", count),
                       100.0 * static_cast<double>(counter.read() - before) / 1.2e6, unit::percent,
                       {.reported = count == far_pages ? "92 %" : "0.1 %"});
        }
        return each;
    };
    const double near_read = walk(32);
    lab.figure("a read within 32 pages", near_read, unit::nanoseconds);
    lab.figure("a read within 16384 pages of 4 KiB", walk(far_pages), unit::nanoseconds);
    munmap(far, far_pages * page);
    if (!counter.possible()) {
        lab.refused(
            fmt::format("counting TLB misses: perf_event_open says {}; a virtual machine "
                        "usually has no such counter",
                        counter.why_not()));
    }
    if (cpus < 3) {
        lab.refused(
            fmt::format("a flush on many processors: there are {} here, and more threads "
                        "than these only wait for each other",
                        cpus));
    }
    lab.impossible(
        "a flush_tlb_kernel_range for a new page table level (S0-56): user page tables "
        "have their levels from the start, and that function flushes kernel addresses");
}

const experiment shootdown{{.id = "E-07",
                            .name = "tlb",
                            .question = "What does changing page tables cost while threads run?",
                            .rows = "S0-56,57",
                            .reported = "0.3 / 15.7 / 4.2 us; 0.1 / 92 / 38 %",
                            .run = tlb}};

void cow(laboratory& lab) {
    constexpr std::size_t pages = 20'000;
    char* const memory = map_pages(pages);
    struct times {
        double fresh, warm, after_fork, again;
    };
    times found{};
    const auto each = [&](double whole) { return whole / pages; };
    found.fresh = each(nanoseconds_of([&] { touch(memory, pages); }));
    found.warm = each(nanoseconds_of([&] { touch(memory, pages); }));
    int hold[2];
    if (pipe(hold) != 0) throw check_failure("no pipe");
    const pid_t child = fork();
    if (child == 0) {
        // Keeps its half of the pages until the parent has written to all of them.
        close(hold[1]);
        char wait;
        while (read(hold[0], &wait, 1) < 0 && errno == EINTR) {
        }
        _exit(0);
    }
    close(hold[0]);
    if (child < 0) throw check_failure("no child");
    const std::uint64_t faults = minor_faults();
    found.after_fork = each(nanoseconds_of([&] { touch(memory, pages); }));
    const std::uint64_t copied = minor_faults() - faults;
    found.again = each(nanoseconds_of([&] { touch(memory, pages); }));
    close(hold[1]);
    waitpid(child, nullptr, 0);
    munmap(memory, pages * page);
    lab.figure("first write to a fresh page", found.fresh, unit::nanoseconds);
    lab.figure("write to a page that is there", found.warm, unit::nanoseconds);
    lab.figure("first write after fork", found.after_fork, unit::nanoseconds);
    lab.figure("the write after that", found.again, unit::nanoseconds);
    lab.figure("added by copy on write", found.after_fork - found.warm, unit::nanoseconds,
               {.reported = "+3.1 us"});
    lab.figure("page faults for 20000 pages after fork", static_cast<double>(copied), unit::number);
    lab.note("20,000 pages of 4 KiB, one write each; the child holds them meanwhile.");
}

const experiment copy_on_write{{.id = "E-08",
                                .name = "cow",
                                .question = "What does the first write after a fork cost?",
                                .rows = "S0-60",
                                .reported = "+3.1 us",
                                .run = cow}};

}  // namespace
}  // namespace steady::cli::lab
