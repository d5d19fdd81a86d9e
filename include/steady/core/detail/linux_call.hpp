// linux_call.hpp - the four-argument system call core needs to report a failure
// and stop: no libc, no errno, no locks, usable before any constructor has run
// and inside a process whose heap is already broken.
//
// Room os has the full set of calls; core stands below it and must not look up.

#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>

namespace steady::detail {

/// Returns    what the kernel returns: a result, or -errno.
#if defined(__x86_64__)
inline long linux_call(long number, long a = 0, long b = 0, long c = 0, long d = 0) noexcept {
    register long r10 asm("r10") = d;
    long result = number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(r10)
                 : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
inline long linux_call(long number, long a = 0, long b = 0, long c = 0, long d = 0) noexcept {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#error "steady runs on Linux on x86-64 and AArch64; add this machine's system call here"
#endif

inline long address_of(const void* p) noexcept {
    return reinterpret_cast<long>(p);
}

}  // namespace steady::detail
