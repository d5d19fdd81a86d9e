// syscall.hpp - the only door from os to the kernel: raw system calls that never
// touch errno, take no libc lock and allocate nothing, and the seam through which
// tests let any of them fail.
//
//   result >= 0     what the kernel returned
//   result <  0     -errno (the kernel reserves -4095..-1)
//
// Why raw: this code runs inside malloc, before constructors, after thread
// teardown, and in a thread that libc does not know. errno is thread-local memory
// of libc's threads; a caller of malloc does not expect it to change either.
//
// The seam  Every call that can be refused (mmap, mprotect, munmap, madvise,
//           mremap, mbind, clone, membarrier, prctl) first asks `refused()`: one
//           relaxed load beside a call of 190 ns, so the seam is always compiled
//           in and the binary that is tested is the binary that is shipped.
//
//           fail_nth_call(3);          // the third such call from now gets ENOMEM
//           operation();               // must leave everything consistent
//           bool fired = fail_nth_call(0) != 0;   // disarm, and ask how many failed
//
//           A test walks n = 1, 2, ... until the operation no longer reaches n.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <linux/errno.h>
#include <sys/syscall.h>

namespace steady::os::detail {

// ---- The instruction itself.

#if defined(__x86_64__)
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result = number;
    // The kernel overwrites rcx (return address) and r11 (flags).
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0"
                 : "+r"(x0)
                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                 : "memory");
    return x0;
}
#else
#error "steady: os: this processor has no system call sequence here; x86-64 and AArch64 do."
#endif

inline long word(const volatile void* p) noexcept {
    return reinterpret_cast<long>(p);
}
inline long word(std::size_t n) noexcept {
    return static_cast<long>(n);
}

// ---- The seam.

struct failure_plan {
    std::atomic<std::uint64_t> countdown{0};  // calls until the next failure; 0 = no plan
    std::atomic<std::uint64_t> repeats{0};    // further calls that fail after it
    std::atomic<std::uint64_t> failed{0};     // calls this plan has failed
    std::atomic<int> system_errno{ENOMEM};
};
inline constinit failure_plan planned_failure;

/// Lets the n-th refusable system call from now on fail, and `repeats` more after it.
///
/// n          1 is the next call; 0 disarms.
/// Returns    how many calls the plan before has failed: 0 when it was not reached.
/// Cost       for every refusable call one relaxed load, armed or not.
/// Threads    meant for tests with one thread; any call may meet the failure with several.
inline std::uint64_t fail_nth_call(std::uint64_t n, std::uint64_t repeats = 0,
                                   int system_errno = ENOMEM) noexcept {
    auto& plan = planned_failure;
    plan.countdown.store(0, std::memory_order_relaxed);
    plan.repeats.store(repeats, std::memory_order_relaxed);
    plan.system_errno.store(system_errno, std::memory_order_relaxed);
    const std::uint64_t failed = plan.failed.exchange(0, std::memory_order_relaxed);
    plan.countdown.store(n, std::memory_order_relaxed);
    return failed;
}

/// The armed half of `refused()`.
[[gnu::cold, gnu::noinline]] inline bool refused_by_plan() noexcept {
    auto& plan = planned_failure;
    std::uint64_t left = plan.countdown.load(std::memory_order_relaxed);
    do {
        if (left == 0) return false;  // another thread took the failure
    } while (!plan.countdown.compare_exchange_weak(left, left - 1, std::memory_order_relaxed));
    if (left != 1) return false;
    plan.failed.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t more = plan.repeats.load(std::memory_order_relaxed);
    if (more != 0) {
        plan.repeats.store(more - 1, std::memory_order_relaxed);
        plan.countdown.store(1, std::memory_order_relaxed);
    }
    return true;
}

/// True when a test wants this call to fail; the caller then returns `refusal()`.
inline bool refused() noexcept {
    return planned_failure.countdown.load(std::memory_order_relaxed) != 0 && refused_by_plan();
}
inline long refusal() noexcept {
    return -planned_failure.system_errno.load(std::memory_order_relaxed);
}

// ---- Memory. All refusable.

inline long sys_mmap(const void* address, std::size_t length, int protection, int flags) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_mmap, word(address), word(length), protection, flags, -1, 0);
}
inline long sys_munmap(const void* address, std::size_t length) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_munmap, word(address), word(length));
}
inline long sys_mprotect(const void* address, std::size_t length, int protection) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_mprotect, word(address), word(length), protection);
}
inline long sys_madvise(const void* address, std::size_t length, int advice) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_madvise, word(address), word(length), advice);
}
inline long sys_mremap(const void* from, std::size_t old_length, std::size_t new_length, int flags,
                       const void* to) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_mremap, word(from), word(old_length), word(new_length), flags, word(to));
}
inline long sys_mbind(const void* address, std::size_t length, int mode, const unsigned long* nodes,
                      unsigned long node_bits) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_mbind, word(address), word(length), mode, word(nodes),
                       static_cast<long>(node_bits), 0);
}
inline long sys_membarrier(int command) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_membarrier, command, 0, 0);
}
inline long sys_prctl(int option, unsigned long a, unsigned long b = 0, unsigned long c = 0,
                      unsigned long d = 0) noexcept {
    if (refused()) return refusal();
    return system_call(SYS_prctl, option, static_cast<long>(a), static_cast<long>(b),
                       static_cast<long>(c), static_cast<long>(d));
}

// ---- Asking. These only read; their failure is "unknown", and no plan counts them.

/// Returns 0 when every page of the range is mapped, -ENOMEM when one is not.
inline long sys_mincore(const void* address, std::size_t length, unsigned char* pages) noexcept {
    return system_call(SYS_mincore, word(address), word(length), word(pages));
}
inline long sys_open_for_reading(const char* path) noexcept {
    constexpr long at_fdcwd = -100;
    constexpr long read_only_close_on_exec = 02000000;  // O_RDONLY | O_CLOEXEC on both machines
    return system_call(SYS_openat, at_fdcwd, word(path), read_only_close_on_exec, 0);
}
inline long sys_read(long file, void* buffer, std::size_t length) noexcept {
    return system_call(SYS_read, file, word(buffer), word(length));
}
/// Options of prctl that only ask (PR_GET_...).
inline long sys_prctl_query(int option) noexcept {
    return system_call(SYS_prctl, option);
}
inline long sys_close(long file) noexcept {
    return system_call(SYS_close, file);
}

struct resource_limit {
    std::uint64_t soft, hard;  // ~0 = unlimited
};
inline long sys_get_limit(int resource, resource_limit* limit) noexcept {
    return system_call(SYS_prlimit64, 0, resource, 0, word(limit));
}
inline long sys_getcpu(unsigned* cpu, unsigned* node) noexcept {
    return system_call(SYS_getcpu, word(cpu), word(node), 0);
}
inline long sys_gettid() noexcept {
    return system_call(SYS_gettid);
}

// ---- Time, sleep, signals, threads.

struct kernel_time {
    std::int64_t seconds, nanoseconds;
};
inline long sys_clock_gettime(int clock, kernel_time* now) noexcept {
    return system_call(SYS_clock_gettime, clock, word(now));
}
inline long sys_nanosleep(const kernel_time* wanted, kernel_time* left) noexcept {
    return system_call(SYS_nanosleep, word(wanted), word(left));
}
inline long sys_futex(const void* address, int operation, std::uint32_t value,
                      const kernel_time* timeout) noexcept {
    return system_call(SYS_futex, word(address), operation, static_cast<long>(value), word(timeout),
                       0, 0);
}
/// Signal sets are one 64-bit word for the kernel.
inline long sys_set_signal_mask(const std::uint64_t* mask, std::uint64_t* before) noexcept {
    constexpr long sig_setmask = 2;
    return system_call(SYS_rt_sigprocmask, sig_setmask, word(mask), word(before), sizeof *mask);
}

}  // namespace steady::os::detail
