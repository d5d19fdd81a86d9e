// result.hpp - a value, or what went wrong and while doing what. The runtime
// rooms (os, heap) cannot throw: they run inside malloc. They return this.
//
//   result<std::byte*> block = os::map_plain(64_KiB);
//   if (!block) return block.error();            // an error converts to any result
//   use(*block);
//
// An error has three parts, so that a message can say everything: the kind
// (errc), the errno behind it (0 if the system was not asked), and the action
// that failed, as static text: "mprotect 4 MiB at commit".
//
// Cost    a result is T plus one word, or an error and a word: no allocation, and
//         it is trivially copyable, as T must be.

#pragma once

#include "steady/core/fatal.hpp"

#include <cstdint>
#include <type_traits>

namespace steady {

/// The kinds of failure a caller can act on.
enum class errc : std::uint8_t {
    out_of_memory,        // the system has no memory or will not promise more (ENOMEM)
    address_space_limit,  // RLIMIT_AS
    map_count_limit,      // vm.max_map_count
    not_permitted,
    invalid_argument,
    unsupported,
    occupied,      // somebody else's mapping is in the way
    memory_limit,  // steady's own limit (STEADY_DEBUG=hard_memory_limit)
};

struct error {
    errc code;
    int system_errno;    // positive, or 0
    const char* action;  // static text
};

/// What it means and what can be done about it.
[[nodiscard]] constexpr const char* describe(errc code) noexcept {
    switch (code) {
        case errc::out_of_memory:
            return "the system gives no more memory; free some, add swap, or check "
                   "vm.overcommit_memory and the cgroup's memory.max";
        case errc::address_space_limit:
            return "the process may not have more address space; raise RLIMIT_AS (ulimit -v)";
        case errc::map_count_limit:
            return "the process has too many mappings; raise vm.max_map_count";
        case errc::not_permitted:
            return "the system does not permit it; check seccomp filters and capabilities";
        case errc::invalid_argument:
            return "the system rejected an argument; this is a bug in steady or its caller";
        case errc::unsupported: return "this kernel does not support it";
        case errc::occupied: return "another mapping is already there";
        case errc::memory_limit:
            return "steady's own limit is reached; raise hard_memory_limit in STEADY_DEBUG";
    }
    return "unknown error code";
}

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void value_of_error(const error& e) noexcept {
    message what("core");
    what.text("asked a failed result for its value: ").text(e.action).text(" failed");
    if (e.system_errno != 0) {
        what.text(" with errno ").number(static_cast<std::uint64_t>(e.system_errno));
    }
    fatal(what.text(".")
              .line("Meaning: ")
              .text(describe(e.code))
              .text(".")
              .line("Test the result (if (!r) return r.error();) before taking its value."));
}

}  // namespace detail

/// Either a T or an error. Converts from both, so functions just return them.
template <class T>
class [[nodiscard]] result {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                  "steady::result<T> carries plain values; give T trivial copies and destructor");

public:
    using value_type = T;

    constexpr result(T value) noexcept : value_{value}, ok_{true} {}
    constexpr result(const error& e) noexcept : error_{e}, ok_{false} {}

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return ok_; }

    /// The value. Asking a failed result is a mistake in the program and stops it.
    [[nodiscard]] constexpr T& value() noexcept {
        require_value();
        return value_;
    }
    [[nodiscard]] constexpr const T& value() const noexcept {
        require_value();
        return value_;
    }
    [[nodiscard]] constexpr T value_or(T otherwise) const noexcept {
        return ok_ ? value_ : otherwise;
    }
    [[nodiscard]] constexpr T& operator*() noexcept { return value(); }
    [[nodiscard]] constexpr const T& operator*() const noexcept { return value(); }
    [[nodiscard]] constexpr T* operator->() noexcept { return &value(); }
    [[nodiscard]] constexpr const T* operator->() const noexcept { return &value(); }

    /// The error. Only a failed result has one; asking another stops the program.
    [[nodiscard]] constexpr const steady::error& error() const noexcept {
        if (ok_) [[unlikely]] {
            fatal(message("core")
                      .text("asked a successful result for its error.")
                      .line("Test the result before asking."));
        }
        return error_;
    }

private:
    constexpr void require_value() const noexcept {
        if (!ok_) [[unlikely]]
            detail::value_of_error(error_);
    }

    union {
        T value_;
        steady::error error_;
    };
    bool ok_;
};

/// Success, or an error. `return {};` is success.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    constexpr result() noexcept = default;
    constexpr result(const error& e) noexcept : error_{e}, ok_{false} {}

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return ok_; }

    /// Stops the program when this is an error.
    constexpr void value() const noexcept {
        if (!ok_) [[unlikely]]
            detail::value_of_error(error_);
    }

    [[nodiscard]] constexpr const steady::error& error() const noexcept {
        if (ok_) [[unlikely]] {
            fatal(message("core")
                      .text("asked a successful result for its error.")
                      .line("Test the result before asking."));
        }
        return error_;
    }

private:
    steady::error error_{};
    bool ok_ = true;
};

}  // namespace steady
