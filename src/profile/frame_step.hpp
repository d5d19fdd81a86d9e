// frame_step.hpp - from one frame to the next: what may be read of a stack (U1), the table of
// rules (U2), and the step (U3). The story is in unwind.hpp; unwind.cpp walks with it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "frame_rule.hpp"
#include "steady/profile/detail/unwind.hpp"

// Stacks are read as words, whatever lives there.
#define STEADY_READS_STACKS __attribute__((no_sanitize("address", "thread", "undefined")))

namespace steady::profile::detail {

inline constexpr std::uintptr_t page =
    4096;  // the smallest there is: a larger one is seen in parts

// ---- U1: what may be read.

/// Pages of this thread's stack that were seen readable: [low, high).
struct readable_pages {
    std::uintptr_t low;
    std::uintptr_t high;
};
inline constinit thread_local readable_pages readable{0, 0};

/// The kernel reads the signal set before it finds that `how` is wrong: EFAULT or EINVAL.
inline bool page_is_readable(std::uintptr_t address) noexcept {
    if (address < page) return false;  // the kernel does not look at a null set
    long result = 0;
#if defined(__x86_64__)
    // Not syscall(): that would set errno of whoever we interrupted.
    register long set asm("r10") = 8;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(SYS_rt_sigprocmask), "D"(~0L), "S"(address), "d"(0L), "r"(set)
                 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long number asm("x8") = SYS_rt_sigprocmask;
    register long x0 asm("x0") = ~0L;
    register long x1 asm("x1") = static_cast<long>(address);
    register long x2 asm("x2") = 0;
    register long x3 asm("x3") = 8;
    asm volatile("svc 0" : "+r"(x0) : "r"(number), "r"(x1), "r"(x2), "r"(x3) : "memory");
    result = x0;
#endif
    constexpr long bad_address = -14;
    return result != bad_address;
}

inline constexpr std::uintptr_t farthest = std::uintptr_t{8}
                                           << 20;  // 2048 pages: the largest frame

inline bool extend(std::uintptr_t address) noexcept {
    readable_pages& r = readable;
    if (address % 8 != 0 || address < page || address > ~std::uintptr_t{0} - 2 * page) return false;
    if (address >= r.high) {
        if (address - r.high >= farthest) return false;
        while (r.high <= address) {
            if (!page_is_readable(r.high)) return false;
            r.high += page;
        }
        return true;
    }
    if (r.low - address >= farthest) return false;
    while (r.low > address) {
        if (!page_is_readable(r.low - page)) return false;
        r.low -= page;
    }
    return true;
}

inline bool may_read(std::uintptr_t address) noexcept {
    // Words are aligned, so the last byte is in the same page.
    return (address - readable.low < readable.high - readable.low && address % 8 == 0) ||
           extend(address);
}

/// A walk begins at `sp`, which this thread uses: another stack than last time, perhaps.
inline void begin_at(std::uintptr_t sp) noexcept {
    readable_pages& r = readable;
    sp &= ~std::uintptr_t{7};
    if (sp - r.low < r.high - r.low) return;
    if (r.high != 0 && sp < r.low && r.low - sp < farthest && extend(sp)) return;
    r.low = sp & ~(page - 1);
    r.high = page_is_readable(r.low) ? r.low + page : r.low;
}

STEADY_READS_STACKS inline std::uintptr_t word_at(std::uintptr_t address) noexcept {
    return *reinterpret_cast<const std::uintptr_t*>(address);
}

// ---- The table of rules.

struct entry {
    std::atomic<std::uintptr_t> pc{0};
    std::atomic<std::uint64_t> rule{0};
};
inline constexpr std::size_t ways = 4;
struct alignas(64) line {
    entry entries[ways];
};
static_assert(sizeof(line) == 64, "a warm look-up reads one cache line");
inline constexpr std::size_t line_count = 4096;  // 16384 rules in 256 KiB, touched as they are used

inline constinit line table[line_count];
inline constinit std::atomic<std::uint64_t> made{0};

inline std::uint64_t mixed(std::uintptr_t pc) noexcept {
    return pc * 0x9e3779b97f4a7c15u;
}

inline frame_rule look_up(std::uintptr_t pc, bool& hit) noexcept {
    const std::uint64_t hash = mixed(pc);
    line& l = table[hash >> 52];
    static_assert(line_count == 4096, "12 bits of the hash");
    for (entry& e : l.entries) {
        if (e.pc.load(std::memory_order_relaxed) != pc) continue;
        const frame_rule rule{e.rule.load(std::memory_order_relaxed)};
        if (rule.check() == frame_rule::check_of(hash)) {  // U2
            hit = true;
            return rule;
        }
    }
    hit = false;
    return {};
}

[[gnu::noinline, gnu::cold]] inline frame_rule make_rule(std::uintptr_t pc) noexcept {
    const std::uint64_t hash = mixed(pc);
    frame_rule rule = read_frame_rule(pc);
    rule.set_check(frame_rule::check_of(hash));
    line& l = table[hash >> 52];
    entry* place = nullptr;
    for (entry& e : l.entries) {
        if (e.pc.load(std::memory_order_relaxed) == 0 ||
            e.pc.load(std::memory_order_relaxed) == pc) {
            place = &e;
            break;
        }
    }
    if (place == nullptr) place = &l.entries[made.load(std::memory_order_relaxed) % ways];
    place->rule.store(rule.bits, std::memory_order_relaxed);
    place->pc.store(pc, std::memory_order_relaxed);
    made.fetch_add(1, std::memory_order_relaxed);
    return rule;
}

// ---- The step.

/// How a frame was reached from the one inside it: where rbp was read, 0 when it did not
/// change; whether that frame's rbp led there; whether this one's leads further.
using link = std::uintptr_t;
inline constexpr link by_rbp = 1, rbp_leads_on = 2;
inline constexpr link by_other_words = ~link{0};  // not remembered
inline constexpr link nowhere = ~link{1};         // the rule says that this is the last frame

#if defined(__x86_64__)

/// From a frame to its caller. False: this was the last one.
STEADY_READS_STACKS inline bool step(registers& r, std::uintptr_t at, bool& exact,
                                     link& how) noexcept {
    how = 0;
    bool hit = false;
    frame_rule rule = look_up(at, hit);
    if (!hit) [[unlikely]]
        rule = make_rule(at);

    std::uintptr_t cfa = 0;
    switch (rule.kind()) {
        case frame_rule::from_sp: cfa = r.sp + static_cast<std::uintptr_t>(rule.offset()); break;
        case frame_rule::from_bp:
            cfa = r.bp + static_cast<std::uintptr_t>(rule.offset());
            how = by_rbp;
            break;
        case frame_rule::at_bp: {
            const std::uintptr_t of_cfa = r.bp + static_cast<std::uintptr_t>(rule.offset());
            if (!may_read(of_cfa)) return false;
            cfa = word_at(of_cfa);
            how = by_other_words;
            break;
        }
        case frame_rule::frame_pointer:
            cfa = r.bp + 16;
            how = by_rbp;
            break;
        case frame_rule::signal: {
            const std::uintptr_t saved =
                r.sp + offsetof(ucontext_t, uc_mcontext) + offsetof(mcontext_t, gregs);
            if (!may_read(saved + REG_RBP * 8) || !may_read(saved + REG_RSP * 8) ||
                !may_read(saved + REG_RIP * 8)) {
                return false;
            }
            r = {word_at(saved + REG_RIP * 8), word_at(saved + REG_RSP * 8),
                 word_at(saved + REG_RBP * 8)};
            exact = true;
            how = by_other_words;
            begin_at(r.sp);
            return r.pc != 0;
        }
        default: how = nowhere; return false;
    }
    if (cfa <= r.sp || !may_read(cfa - 8)) return false;  // U3, U1
    const std::uintptr_t pc = word_at(cfa - 8);
    std::uintptr_t of_bp = 0;
    if (rule.kind() == frame_rule::frame_pointer) {
        of_bp = cfa - 16;
    } else if (rule.bp_kind() != frame_rule::bp_unchanged) {
        const bool from_cfa = rule.bp_kind() == frame_rule::bp_from_cfa;
        of_bp = (from_cfa ? cfa : r.bp) + static_cast<std::uintptr_t>(rule.bp_offset());
        if (!from_cfa) how |= by_rbp;
    }
    if (of_bp != 0) {
        if (!may_read(of_bp)) return false;
        r.bp = word_at(of_bp);
        how |= of_bp;
    }
    r.sp = cfa;
    r.pc = pc;
    exact = false;
    return pc != 0;
}

#elif defined(__aarch64__)

/// A frame record: | caller's x29 | return address |, x29 points at it.
STEADY_READS_STACKS inline bool step(registers& r, std::uintptr_t, bool& exact,
                                     link& how) noexcept {
    how = by_other_words;
    if (r.bp < r.sp || !may_read(r.bp) || !may_read(r.bp + 8)) return false;
    const std::uintptr_t pc = word_at(r.bp + 8) & 0x0000ffffffffffff;  // without a signature
    r.sp = r.bp + 16;
    r.bp = word_at(r.bp);
    r.pc = pc;
    exact = false;
    return pc != 0;
}

#endif

}  // namespace steady::profile::detail
