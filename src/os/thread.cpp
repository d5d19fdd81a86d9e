// thread.cpp - the clone() thread and raw waiting. The story is in thread.hpp.
#include "steady/os/thread.hpp"

#include "steady/os/detail/failure.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

#include <linux/futex.h>
#include <linux/prctl.h>
#include <sched.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEADY_OS_PTHREAD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define STEADY_OS_PTHREAD 1
#endif
#endif
#if defined(STEADY_OS_PTHREAD)
#include <pthread.h>
#endif

namespace steady::os {

namespace {

constexpr std::uint64_t every_signal = ~std::uint64_t{0};

// Signals stay blocked from before the thread exists, because it inherits the mask: no
// handler of the program ever runs on the small stack.
class signals_blocked {
public:
    signals_blocked() noexcept { detail::sys_set_signal_mask(&every_signal, &before_); }
    ~signals_blocked() { detail::sys_set_signal_mask(&before_, nullptr); }
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;

private:
    std::uint64_t before_ = 0;
};

}  // namespace

result<void> background_thread::start(void (*body)(void*), void* argument) noexcept {
    std::uint32_t idle = 0;
    // acquire; pairs with the clearing at the end of the last run: its stack is free.
    if (!alive_.compare_exchange_strong(idle, 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return error{errc::occupied, 0, "start of a background thread that is running"};
    }
    body_ = body;
    argument_ = argument;
    const auto launched = launch();
    if (!launched) alive_.store(0, std::memory_order_release);
    return launched;
}

void background_thread::run(void* self) noexcept {
    auto& thread = *static_cast<background_thread*>(self);
    // Directly, not through the seam: a test that counts its own calls must not count this.
    detail::system_call(SYS_prctl, PR_SET_NAME, detail::word("steady"));
    thread.body_(thread.argument_);
}

void background_thread::join() noexcept {
    // The kernel wakes this word as a shared futex, so the wait is not a private one.
    for (std::uint32_t seen; (seen = alive_.load(std::memory_order_acquire)) != 0;) {
        detail::sys_futex(&alive_, FUTEX_WAIT, seen, nullptr);
    }
}

#if defined(STEADY_OS_PTHREAD)

void* background_thread::run_pthread(void* self) noexcept {
    run(self);
    auto& thread = *static_cast<background_thread*>(self);
    thread.alive_.store(0, std::memory_order_release);
    detail::sys_futex(&thread.alive_, FUTEX_WAKE, 1, nullptr);
    return nullptr;
}

result<void> background_thread::launch() noexcept {
    if (detail::refused()) {
        return detail::failure(detail::refusal(), "pthread_create of a background thread");
    }
    const signals_blocked guard;
    pthread_t id;
    const int refused_with = pthread_create(&id, nullptr, run_pthread, this);
    if (refused_with != 0) {
        return detail::failure(-refused_with, "pthread_create of a background thread");
    }
    pthread_detach(id);
    return {};
}

bool in_background_thread() noexcept {
    return false;
}

#else

// long steady_os_clone(flags, stack_top, child_tid, tls, body, argument)
//
// Returns the thread's id, or -errno, to the caller only. The child finds body and
// argument where the parent left them (on its stack; in registers), calls the body on an
// empty frame chain, and ends by the exit system call, which ends one thread.
#if defined(__x86_64__)
asm(R"(
        .pushsection .text
        .globl  steady_os_clone
        .hidden steady_os_clone
        .type   steady_os_clone, @function
        .p2align 4
steady_os_clone:
        .cfi_startproc
        sub     $16, %rsi
        mov     %r8, (%rsi)
        mov     %r9, 8(%rsi)
        mov     %rdx, %r10
        mov     %rcx, %r8
        xor     %edx, %edx
        mov     $56, %eax
        syscall
        test    %rax, %rax
        jz      1f
        ret
1:      .cfi_undefined rip
        xor     %ebp, %ebp
        pop     %rax
        pop     %rdi
        call    *%rax
        xor     %edi, %edi
        mov     $60, %eax
        syscall
        ud2
        .cfi_endproc
        .size   steady_os_clone, .-steady_os_clone
        .popsection
)");
static_assert(SYS_clone == 56 && SYS_exit == 60, "the numbers are written out above");
#elif defined(__aarch64__)
asm(R"(
        .pushsection .text
        .globl  steady_os_clone
        .hidden steady_os_clone
        .type   steady_os_clone, %function
        .p2align 4
steady_os_clone:
        .cfi_startproc
        hint    #34
        mov     x10, x4
        mov     x11, x5
        mov     x4, x2
        mov     x2, #0
        mov     x8, #220
        svc     #0
        cbz     x0, 1f
        ret
1:      .cfi_undefined x30
        mov     x29, #0
        mov     x30, #0
        mov     x0, x11
        blr     x10
        mov     x0, #0
        mov     x8, #93
        svc     #0
        brk     #1
        .cfi_endproc
        .size   steady_os_clone, .-steady_os_clone
        .popsection
)");
static_assert(SYS_clone == 220 && SYS_exit == 93, "the numbers are written out above");
#endif

extern "C" [[gnu::visibility("hidden")]] long steady_os_clone(unsigned long flags, void* stack_top,
                                                              void* child_tid, void* tls,
                                                              void (*body)(void*) noexcept,
                                                              void* argument) noexcept;

namespace {

constexpr bytes stack_size = 64_KiB;
constexpr bytes tls_below = 8_KiB;  // x86-64 keeps TLS variables below the thread pointer,
constexpr bytes tls_above = 8_KiB;  // AArch64 above it

bytes mapping_size() noexcept {
    return os_page() + round_up(stack_size + tls_below + tls_above, os_page());
}

// Where these stacks lie. They are never unmapped, so an entry is written once.
constexpr std::uint32_t most_stacks = 32;
constinit std::atomic<std::uintptr_t> stacks[most_stacks] = {};
constinit std::atomic<std::uint32_t> stack_count{0};

bool remember_stack(const std::byte* mapping) noexcept {
    std::uint32_t next = stack_count.load(std::memory_order_relaxed);
    do {
        if (next == most_stacks) return false;
    } while (!stack_count.compare_exchange_weak(next, next + 1, std::memory_order_relaxed));
    // relaxed; clone() orders it before the only thread that must find it.
    stacks[next].store(reinterpret_cast<std::uintptr_t>(mapping), std::memory_order_relaxed);
    return true;
}

}  // namespace

bool in_background_thread() noexcept {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    for (std::uint32_t i = stack_count.load(std::memory_order_relaxed); i-- > 0;) {
        const std::uintptr_t start = stacks[i].load(std::memory_order_relaxed);
        if (start != 0 && here - start < mapping_size().count()) return true;
    }
    return false;
}

result<void> background_thread::launch() noexcept {
    if (stack_ == nullptr) {
        const auto mapped = map_plain(mapping_size());
        if (!mapped) return mapped.error();
        if (!remember_stack(*mapped)) {
            static_cast<void>(unmap_plain(*mapped, mapping_size()));
            return error{errc::unsupported, 0, "start of one background thread more"};
        }
        stack_ = *mapped;
        // The guard page turns an overflow into a fault. Without it the thread works too.
        detail::sys_mprotect(stack_, os_page().count(), 0);
    }
    std::byte* const thread_pointer = stack_ + (mapping_size() - tls_above).count();
    std::byte* const stack_top = thread_pointer - tls_below.count();
#if defined(__x86_64__)
    // The ABI's self pointers: %fs:0 is how code learns its own thread pointer.
    void* const self = thread_pointer;
    __builtin_memcpy(thread_pointer, &self, sizeof self);
    __builtin_memcpy(thread_pointer + 16, &self, sizeof self);
#endif

    if (detail::refused()) {
        return detail::failure(detail::refusal(), "clone of a background thread");
    }
    const signals_blocked guard;
    // No CLONE_FS: who shares a working directory may not enter a mount namespace.
    constexpr unsigned long flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID;
    const long id = steady_os_clone(flags, stack_top, &alive_, thread_pointer, run, this);
    if (id < 0) return detail::failure(id, "clone of a background thread");
    return {};
}

#endif

std::uint64_t now_ns() noexcept {
    detail::kernel_time now{};
    detail::sys_clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.seconds) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.nanoseconds);
}

namespace {

detail::kernel_time to_kernel_time(std::uint64_t nanoseconds) noexcept {
    return {static_cast<std::int64_t>(nanoseconds / 1'000'000'000),
            static_cast<std::int64_t>(nanoseconds % 1'000'000'000)};
}

}  // namespace

void sleep_for(std::uint64_t nanoseconds) noexcept {
    detail::kernel_time left = to_kernel_time(nanoseconds);
    while (detail::sys_nanosleep(&left, &left) == -EINTR) {
    }
}

bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns) noexcept {
    const detail::kernel_time limit = to_kernel_time(timeout_ns);
    const long woken = detail::sys_futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, expected,
                                         timeout_ns == forever ? nullptr : &limit);
    return woken != -ETIMEDOUT;
}

void futex_wake(std::atomic<std::uint32_t>& word, unsigned count) noexcept {
    detail::sys_futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr);
}

}  // namespace steady::os
