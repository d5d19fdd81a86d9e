// unwind.cpp - walking the stack, beside the walk before. The story is in unwind.hpp.
#include "steady/profile/detail/unwind.hpp"

#include <atomic>
#include <cstddef>
#include <cstring>

#include "frame_step.hpp"

namespace steady::profile::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// ---- The stack before this one, of each thread (U4).

struct seen_frame {
    std::uintptr_t sp;
    std::uintptr_t at;
    std::uintptr_t bp;
    link from_inside;

    [[nodiscard]] std::uintptr_t bp_place() const noexcept { return from_inside & ~link{7}; }
    [[nodiscard]] bool leads_on() const noexcept { return (from_inside & rbp_leads_on) != 0; }
};
constexpr std::size_t most_seen = 32;  // a library opened at run time has little room

/// The innermost frames of one stack, sp growing.
struct seen_stack {
    seen_frame frames[most_seen] = {};
    std::size_t count = 0;
    bool whole = false;        // there are no frames further out
    bool busy = false;         // a walk is under way
    std::uint32_t serial = 0;  // captured::serial
    std::uint32_t rules = 0;   // the generation of rules it was made with
};
constinit thread_local seen_stack seen;
constinit std::atomic<std::uint32_t> generation{0};

STEADY_READS_STACKS captured walk(registers r, bool exact, std::uintptr_t* frames,
                                  std::size_t capacity) noexcept {
    captured out;
    link how = 0;
    begin_at(r.sp);
    for (;;) {
        const std::uintptr_t at = exact ? r.pc : r.pc - 1;
        if (out.depth == capacity) {
            out.cut = true;
            return out;
        }
        frames[out.depth++] = at;
        if (!step(r, at, exact, how)) return out;
    }
}

/// A walk beside the one before of the same thread: from a frame of that on, the frames
/// further out are compared and not looked up.
///
///   seen.frames   | of this stack | dead | of the one before, not yet passed |
///                 0               made   next                                count
class comparing_walk {
public:
    explicit comparing_walk(seen_stack& s) noexcept : seen_(s) {
        // acquire; pairs with the release in forget_rules().
        if (const std::uint32_t now = generation.load(std::memory_order_acquire);
            seen_.rules != now) {
            seen_.rules = now;
            seen_.count = 0;
        }
    }

    STEADY_READS_STACKS captured run(registers r, std::uintptr_t* frames, std::size_t capacity,
                                     unsigned skip) noexcept;

private:
    bool meets(const registers& r, std::uintptr_t at) noexcept;
    void add(const registers& r, std::uintptr_t at, link how) noexcept;
    void take_over(const registers& r, link how) noexcept;
    void note_leads_on(std::size_t i) noexcept;
    std::uintptr_t bp_of_last(std::uintptr_t unchanged) noexcept;

    seen_stack& seen_;
    std::size_t made_ = 0;
    std::size_t next_ = 0;
    bool remembers_ = true;
};

/// Frame `i` led to the one further out by its rbp: so that has to be what it was.
void comparing_walk::note_leads_on(std::size_t i) noexcept {
    for (;; --i) {
        seen_frame& f = seen_.frames[i];
        f.from_inside |= rbp_leads_on;
        if (f.bp_place() != 0 || i == 0) return;
    }
}

/// Whether the stack before had this frame and may be compared from there on.
bool comparing_walk::meets(const registers& r, std::uintptr_t at) noexcept {
    const seen_frame* const f = seen_.frames;
    while (next_ < seen_.count && f[next_].sp < r.sp) ++next_;
    if (next_ == seen_.count || f[next_].sp != r.sp) return false;
    if (f[next_].at == at && (!f[next_].leads_on() || f[next_].bp == r.bp) && may_read(r.sp) &&
        may_read(f[seen_.count - 1].sp - 8)) {
        return true;
    }
    ++next_;  // it returns to somewhere else now
    return false;
}

void comparing_walk::add(const registers& r, std::uintptr_t at, link how) noexcept {
    if (made_ == next_ && next_ != seen_.count) {
        const std::size_t rest = seen_.count - next_;
        std::memmove(seen_.frames + most_seen - rest, seen_.frames + next_,
                     rest * sizeof(seen_frame));
        next_ = most_seen - rest;
        seen_.count = most_seen;
        if (made_ == next_) next_ = most_seen;  // no room for both
    }
    if (made_ == most_seen) {
        remembers_ = false;
        return;
    }
    seen_.frames[made_++] = {r.sp, at, r.bp, how};
    if (next_ < made_) next_ = seen_.count = made_;
}

/// The frame that meets() found is one of this stack.
void comparing_walk::take_over(const registers& r, link how) noexcept {
    if (made_ != next_) {
        const std::size_t rest = seen_.count - next_;
        std::memmove(seen_.frames + made_, seen_.frames + next_, rest * sizeof(seen_frame));
        next_ = made_;
        seen_.count = made_ + rest;
    }
    seen_frame& f = seen_.frames[made_];
    const bool leads_on = f.leads_on();
    f.bp = r.bp;
    f.from_inside = how;
    if (leads_on) note_leads_on(made_);
    next_ = ++made_;
}

/// After frames that were compared: only the rbp that led on was.
STEADY_READS_STACKS std::uintptr_t comparing_walk::bp_of_last(std::uintptr_t unchanged) noexcept {
    std::size_t provider = made_;
    while (provider != 0 && seen_.frames[provider - 1].bp_place() == 0) --provider;
    const std::uintptr_t bp =
        provider != 0 ? word_at(seen_.frames[provider - 1].bp_place()) : unchanged;
    for (std::size_t i = provider != 0 ? provider - 1 : 0; i < made_; ++i) seen_.frames[i].bp = bp;
    return bp;
}

STEADY_READS_STACKS captured comparing_walk::run(registers r, std::uintptr_t* frames,
                                                 std::size_t capacity, unsigned skip) noexcept {
    const std::size_t depth_before = seen_.whole ? seen_.count : 0;
    std::size_t depth = 0, compared = 0;
    const std::size_t most = capacity + skip;
    const auto keep = [&](std::uintptr_t at) noexcept {
        if (depth >= skip) frames[depth - skip] = at;
        ++depth;
    };
    bool exact = true, cut = false, whole = false;
    link how = 0;
    begin_at(r.sp);
    for (;;) {
        std::uintptr_t at = exact ? r.pc : r.pc - 1;
        if (depth == most) {
            cut = true;
            break;
        }
        keep(at);
        if (remembers_ && meets(r, at)) {
            take_over(r, how);
            const std::size_t first = made_;
            const seen_frame* f = seen_.frames + made_;
            const seen_frame* const end = seen_.frames + seen_.count;
            for (; f != end && depth != most && word_at(f->sp - 8) == f->at + 1; ++f) {
                if (f->leads_on() && f->bp_place() != 0 && word_at(f->bp_place()) != f->bp) break;
                keep(f->at);
            }
            next_ = made_ = static_cast<std::size_t>(f - seen_.frames);
            compared += 1 + made_ - first;
            if (f == end && seen_.whole) {
                whole = true;
                break;
            }
            r.sp = f[-1].sp;
            r.bp = bp_of_last(r.bp);
            at = f[-1].at;
        } else if (remembers_) {
            add(r, at, how);
        }
        if (!step(r, at, exact, how)) {
            whole = how == nowhere;
            break;
        }
        if (!remembers_) continue;
        // U4: what lies elsewhere than between the two frames is not compared.
        const seen_frame& inside = seen_.frames[made_ - 1];
        const std::uintptr_t place = how & ~link{7};
        if (how == by_other_words || (place != 0 && (place < inside.sp || place >= r.sp))) {
            remembers_ = false;
        } else if ((how & by_rbp) != 0) {
            note_leads_on(made_ - 1);
        }
    }
    seen_.count = made_;
    seen_.whole = whole && remembers_;
    if (compared != depth || compared != depth_before) ++seen_.serial;
    return {depth > skip ? depth - skip : 0, cut, seen_.serial};
}

}  // namespace

[[gnu::noinline]] STEADY_READS_STACKS captured capture(std::uintptr_t* frames, std::size_t capacity,
                                                       unsigned skip) noexcept {
    registers r{};
#if defined(__x86_64__)
    asm volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
                 : "=r"(r.pc), "=r"(r.sp), "=r"(r.bp));
#elif defined(__aarch64__)
    asm volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29" : "=r"(r.pc), "=r"(r.sp), "=r"(r.bp));
#endif
    ++skip;  // this function
    seen_stack& mine = seen;
    if (mine.busy) {  // in a handler, over a walk of ours
        bool exact = true;
        link how = 0;
        begin_at(r.sp);
        for (; skip != 0; --skip) {
            if (!step(r, exact ? r.pc : r.pc - 1, exact, how)) return {};
        }
        return walk(r, exact, frames, capacity);
    }
    mine.busy = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const captured stack = comparing_walk(mine).run(r, frames, capacity, skip);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    mine.busy = false;
    return stack;
}

captured capture_from(registers from, std::uintptr_t* frames, std::size_t capacity) noexcept {
    // It may have interrupted a walk of this thread, between two stores to `readable`: this
    // one begins with nothing and leaves that one what it had (U1).
    const readable_pages interrupted = readable;
    readable = {0, 0};
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const captured stack = walk(from, true, frames, capacity);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    readable = interrupted;
    return stack;
}

void forget_rules() noexcept {
    for (line& l : table) {
        for (entry& e : l.entries) e.pc.store(0, relaxed);
    }
    // release; a walk that begins with the new generation finds no rule of before.
    generation.fetch_add(1, std::memory_order_release);
}

std::uint64_t rules_made() noexcept {
    return made.load(relaxed);
}

}  // namespace steady::profile::detail
