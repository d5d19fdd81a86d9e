// fatal.hpp - says what was seen, what was expected and what to do next, and
// stops. It must work when nothing else does: before constructors, inside a
// signal handler, with the heap corrupted and every lock held.
//
// Terms   message: text built in a fixed buffer on the caller's stack.
//         handler: a function that gets the text last; tests install one.
//
//   steady: heap: freed 0x7f3a5c0011c0 as 48 bytes, but its span holds ...
//     The block was allocated with a size of 49..64 bytes ...
//     Usually a delete through the wrong type.
//   ^ one write(2) for the whole text, so that two threads do not interleave
//
// Invariants (tests/core/fatal_test.cpp)
//   F1  Nothing here allocates, takes a lock or calls libc.
//   F2  A message never overflows: what does not fit is cut, and the cut shows
//       as "...".
//   F3  fatal() does not return. A handler may leave it by longjmp (tests do);
//       it cannot throw out, for the callers on the way are noexcept.
//   F4  A handler is taken out before it is called. A second failure, inside the
//       handler or in another thread, finds none and stops the process at once;
//       whoever left by longjmp installs it again.
//   F5  Nothing of the program runs in a thread that libc does not know: neither the
//       handler here nor one of SIGABRT, which expect thread-local variables.
//
// Cost    a passing check pays nothing. All of this is cold and out of line, and
//         header-only, because the containers are header-only and stop this way
//         too.
// Tried   abort(3): takes a libc lock that a forked child may find taken. Hence
//         the raw SIGABRT, which still runs a handler the program installed.

#pragma once

#include "steady/core/detail/linux_call.hpp"
#include "steady/core/units.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace steady {

/// Text in the making. Every function returns the message, so that one expression
/// reads like the sentence it prints.
class message {
public:
    static constexpr std::size_t capacity = 1024;

    /// Starts with "steady: <room>: ".
    explicit message(const char* room) noexcept { text("steady: ").text(room).text(": "); }

    message& text(const char* words) noexcept {
        while (*words != '\0') put(*words++);
        return *this;
    }

    /// The first `length` characters of words, for text that has no end mark.
    message& text(const char* words, std::size_t length) noexcept {
        for (std::size_t i = 0; i < length; ++i) put(words[i]);
        return *this;
    }

    message& number(std::uint64_t value) noexcept { return digits(value, 10); }

    message& hex(std::uintptr_t value) noexcept { return text("0x").digits(value, 16); }

    /// "48 bytes", "1 byte": exact, for a reader compares it with his own numbers.
    message& size(bytes value) noexcept {
        return number(value.count()).text(value == bytes{1} ? " byte" : " bytes");
    }

    /// Begins a new, indented line with these words.
    message& line(const char* words) noexcept { return text("\n  ").text(words); }

    [[nodiscard]] const char* c_str() const noexcept { return buffer_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }

private:
    static constexpr std::size_t last = capacity - 1;  // the end mark stays there (F2)

    void put(char c) noexcept {
        if (length_ < last) {
            buffer_[length_++] = c;
            buffer_[length_] = '\0';
        } else {
            for (std::size_t i = last - 3; i < last; ++i) buffer_[i] = '.';
        }
    }

    message& digits(std::uint64_t value, std::uint64_t base) noexcept {
        char reversed[20];
        std::size_t n = 0;
        do {
            reversed[n++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (n != 0) put(reversed[--n]);
        return *this;
    }

    std::size_t length_ = 0;
    char buffer_[capacity] = {};
};

/// Gets the whole text after it was written to stderr, in the failing thread.
using fatal_handler = void (*)(const char* text);

namespace detail {

inline constinit std::atomic<fatal_handler> installed_fatal_handler{nullptr};

/// One write for text and newline; repeats only what the kernel did not take.
[[gnu::cold]] inline void write_to_stderr(const message& what) noexcept {
    char out[message::capacity + 1];
    std::size_t length = what.length();
    for (std::size_t i = 0; i < length; ++i) out[i] = what.c_str()[i];
    out[length++] = '\n';
    for (std::size_t done = 0; done < length;) {
        const long wrote =
            linux_call(SYS_write, 2, address_of(out + done), static_cast<long>(length - done));
        constexpr long interrupted = -4;  // -EINTR
        if (wrote == interrupted) continue;
        if (wrote <= 0) return;  // stderr is closed or full: nobody is there to be told
        done += static_cast<std::size_t>(wrote);
    }
}

inline constexpr std::size_t signal_set_size = 8;

/// A thread made without libc (os::background_thread), known by its signal mask: all
/// are blocked, also 32 and 33, which libc keeps for itself and lets nobody block.
[[nodiscard]] inline bool in_thread_without_libc() noexcept {
    constexpr long sig_block = 0;
    std::uint64_t blocked = 0;
    linux_call(SYS_rt_sigprocmask, sig_block, 0, address_of(&blocked), signal_set_size);
    constexpr std::uint64_t libcs_own = std::uint64_t{3} << 31;  // bit n - 1 is signal n
    return (blocked & libcs_own) == libcs_own;
}

/// Ends the process by SIGABRT without libc: once with whatever handler the
/// program has (crash reporters live there), then with the kernel's default.
///
/// From a thread without libc the signal goes to the process, so that another thread
/// runs the handler, and gets a few seconds for it.
[[noreturn, gnu::cold]] inline void stop_process() noexcept {
    constexpr long sig_abort = 6;
    constexpr long sig_unblock = 1;
    const std::uint64_t only_abort = std::uint64_t{1} << (sig_abort - 1);
    const struct {
        std::uint64_t handler, flags, restorer, mask;
    } default_action{};  // all zero is SIG_DFL in the kernel's own layout

    const long process = linux_call(SYS_getpid);
    const long thread = linux_call(SYS_gettid);
    if (in_thread_without_libc()) {
        linux_call(SYS_kill, process, sig_abort);
        std::int64_t patience[] = {3, 0};  // seconds, nanoseconds
        linux_call(SYS_nanosleep, address_of(patience), address_of(patience));
    } else {
        linux_call(SYS_rt_sigprocmask, sig_unblock, address_of(&only_abort), 0, signal_set_size);
        linux_call(SYS_tgkill, process, thread, sig_abort);
    }
    linux_call(SYS_rt_sigaction, sig_abort, address_of(&default_action), 0, signal_set_size);
    linux_call(SYS_rt_sigprocmask, sig_unblock, address_of(&only_abort), 0, signal_set_size);
    linux_call(SYS_tgkill, process, thread, sig_abort);
    linux_call(SYS_exit_group, 134);  // 128 + SIGABRT, as a shell would report it
    __builtin_trap();
}

}  // namespace detail

/// Installs the function that gets the text of the next failure; nullptr removes it.
///
/// Returns    the handler that was installed before.
/// Threads    any; exactly one failing thread gets the handler (F4).
inline fatal_handler set_fatal_handler(fatal_handler handler) noexcept {
    // acq_rel; pairs with the exchange in fatal(): what the installer prepared is
    // visible to the handler.
    return detail::installed_fatal_handler.exchange(handler, std::memory_order_acq_rel);
}

/// Writes the message to stderr, calls the handler if there is one, and stops
/// the process with SIGABRT.
///
/// Threads    any, also signal handlers and processes whose heap is broken.
[[noreturn, gnu::cold, gnu::noinline]] inline void fatal(const message& what) noexcept {
    detail::write_to_stderr(what);
    const fatal_handler handler =
        detail::installed_fatal_handler.exchange(nullptr, std::memory_order_acq_rel);
    if (handler != nullptr && !detail::in_thread_without_libc()) handler(what.c_str());  // F5
    detail::stop_process();
}

/// Writes the message to stderr and goes on.
[[gnu::cold, gnu::noinline]] inline void warn(const message& what) noexcept {
    detail::write_to_stderr(what);
}

}  // namespace steady
