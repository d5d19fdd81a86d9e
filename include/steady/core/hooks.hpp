// hooks.hpp - lower rooms announce, upper rooms listen. os announces its system
// calls, heap its samples, containers their growth; profile, trace, audit and
// tests install a listener, and no include points up the stairs.
//
// Nobody listening is the normal case and costs one load and one branch:
//
//   if (os_hook.armed()) os_hook.announce({os_call::decommit, p, n, n, false});
//
// Invariants (tests/core/hooks_test.cpp)
//   H1  A listener is called with the context it was installed with, never with
//       that of another one.
//   H2  When remove() returns, no call of the listener is running or will begin:
//       its context may be destroyed.
//
// How H2 holds: announce() enters (callers_ + 1) before it reads the listener;
// remove() clears the listener before it reads callers_. Both are sequentially
// consistent, so either the announcer sees no listener or remove() sees the
// announcer and waits for it. Only armed hooks pay for this.
//
// A listener runs wherever the event happened, perhaps under a lock of the heap:
// it must not allocate from the steady heap, must not block, and must not remove
// itself (it would wait for its own end).

#pragma once

#include "steady/core/units.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace steady {

/// What os asked the kernel to do.
enum class os_call : std::uint8_t {
    reserve,
    prepare,
    decommit,
    release,
    remap,
    huge_page_hint,
    bind,
    query,
};

struct os_event {
    os_call call;
    const void* address;
    bytes size;
    bytes touched;    // upper bound of the resident pages the kernel walks; 0 when untouched
    bool background;  // not on a caller's path
};

/// One step of a growing container. A container that copies nothing reports zeros.
struct growth_event {
    const void* container;
    const char* kind;  // "map", "slice", ...: static text
    std::uint64_t entries_moved;
    std::uint64_t pages_touched;
    std::uint64_t bytes_before;
    std::uint64_t bytes_after;
    std::uint64_t nanoseconds;
};

/// One sampled object, when it comes and when it goes. A large one may also change its
/// size where it is, which counts as neither; one that moves is freed and allocated.
struct sample_event {
    enum class what : std::uint8_t { allocated, freed, resized } kind;
    void* address;
    bytes size;          // what it occupies
    bytes requested;     // what was asked for
    double probability;  // with which an object of this size is sampled; resized: from now on
    // allocated: the line of by_size that counts it, 0 for large ones, and whether the
    // statistics do: those of heap instances are not in them.
    std::uint8_t size_class;
    bool counted;
};

/// The process is about to fork, or has. Announced by the heap with every lock of its own
/// held, so a listener may take the locks that its other listeners take.
struct fork_event {
    enum class what : std::uint8_t { prepare, parent, child } kind;
};

/// An allocation of the default heap found no memory and is about to fail. Announced with
/// no lock of the heap held: a listener may take its time, and may even make memory.
struct failure_event {
    bytes size;
};

/// A place where one listener at a time may stand.
template <class Event>
class hook {
public:
    using listener = void (*)(void* context, const Event& event);

    constexpr hook() noexcept = default;
    hook(const hook&) = delete;
    hook& operator=(const hook&) = delete;

    /// Cost       one relaxed load: for skipping the work of building an event.
    [[nodiscard]] bool armed() const noexcept {
        return listener_.load(std::memory_order_relaxed) != nullptr;
    }

    /// Calls the listener, if there is one.
    void announce(const Event& event) noexcept {
        if (armed()) [[unlikely]]
            call_listener(event);
    }

    /// Puts a listener here in the place of the one before, if any.
    ///
    /// Threads    any, but not from within a listener of this hook.
    void install(listener function, void* context) noexcept {
        const change_guard only_one{changing_};
        retire_listener();
        context_ = context;
        // seq_cst, like every access to listener_ that decides: see H2. It also
        // publishes context_ to the load in call_listener.
        listener_.store(function, std::memory_order_seq_cst);
    }

    /// Takes the listener away and waits until no call of it is running (H2).
    ///
    /// Threads    any, but not from within a listener of this hook.
    void remove() noexcept {
        const change_guard only_one{changing_};
        retire_listener();
    }

    /// Forgets callers that exist only in the parent. For the one thread of a
    /// forked child; the listener stays.
    void reset_after_fork() noexcept {
        callers_.store(0, std::memory_order_seq_cst);
        changing_.clear(std::memory_order_release);
    }

private:
    struct change_guard {
        explicit change_guard(std::atomic_flag& f) noexcept : flag{f} {
            while (flag.test_and_set(std::memory_order_acquire)) pause();
        }
        ~change_guard() { flag.clear(std::memory_order_release); }
        std::atomic_flag& flag;
    };

    static void pause() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    void retire_listener() noexcept {
        listener_.store(nullptr, std::memory_order_seq_cst);
        while (callers_.load(std::memory_order_seq_cst) != 0) pause();
    }

    [[gnu::cold, gnu::noinline]] void call_listener(const Event& event) noexcept {
        callers_.fetch_add(1, std::memory_order_seq_cst);
        const listener function = listener_.load(std::memory_order_seq_cst);
        if (function != nullptr) function(context_, event);
        // release (seq_cst includes it); pairs with the load in retire_listener:
        // the next context is written after our read of this one (H1).
        callers_.fetch_sub(1, std::memory_order_seq_cst);
    }

    std::atomic<listener> listener_{nullptr};
    void* context_ = nullptr;  // written only while no listener is installed
    std::atomic<std::uint32_t> callers_{0};
    std::atomic_flag changing_{};
};

// Inline, so that the header-only containers can announce without the runtime.
inline constinit hook<os_event> os_hook;
inline constinit hook<growth_event> growth_hook;
inline constinit hook<sample_event> sample_hook;
inline constinit hook<fork_event> fork_hook;
inline constinit hook<failure_event> failure_hook;

}  // namespace steady
