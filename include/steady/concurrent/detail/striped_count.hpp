// striped_count.hpp - a number that many threads change often and few read.
//
// At first all share one word. From make_stripes() on each of the first 31 threads adds to a
// line of its own, without a locked instruction; the others share one. The sum is off by what
// is under way.

#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "steady/concurrent/detail/thread_index.hpp"
#include "steady/concurrent/detail/word.hpp"

namespace steady::concurrent_detail {

class striped_count {
public:
    striped_count() = default;
    striped_count(const striped_count&) = delete;
    striped_count& operator=(const striped_count&) = delete;
    ~striped_count() { clear(); }

    [[gnu::always_inline]] void add(std::int64_t by) noexcept {
        stripe* mine = stripes_.load(std::memory_order_acquire);
        if (mine == nullptr) [[unlikely]] {
            few_.fetch_add(static_cast<std::uint64_t>(by));
            return;
        }
        const unsigned me = thread_index();
        if (me < owned) [[likely]] {
            word& value = mine[me].value;
            value.store(value.load() + static_cast<std::uint64_t>(by));
        } else {
            mine[owned].value.fetch_add(static_cast<std::uint64_t>(by));
        }
    }
    [[nodiscard]] std::uint64_t sum() const noexcept {
        auto all = static_cast<std::int64_t>(few_.load());
        if (const stripe* s = stripes_.load(std::memory_order_acquire)) {
            for (unsigned i = 0; i <= owned; ++i)
                all += static_cast<std::int64_t>(s[i].value.load());
        }
        return all < 0 ? 0 : static_cast<std::uint64_t>(all);
    }
    /// Without memory all go on sharing one word.
    void make_stripes() noexcept {
        if (stripes_.load(std::memory_order_acquire) != nullptr) return;
        auto* s = new (std::nothrow) stripe[owned + 1];
        // Of two who split at the same time one makes them: what was counted in the other's would
        // be lost.
        stripe* none = nullptr;
        if (!stripes_.compare_exchange_strong(none, s, std::memory_order_acq_rel)) delete[] s;
    }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return stripes_.load(std::memory_order_acquire) == nullptr ? 0
                                                                   : (owned + 1) * sizeof(stripe);
    }
    /// Nobody else uses it.
    void clear() noexcept {
        delete[] stripes_.exchange(nullptr, std::memory_order_acq_rel);
        few_.store(0);
    }

private:
    static constexpr unsigned owned = 31;
    struct alignas(64) stripe {
        word value;
    };

    std::atomic<stripe*> stripes_{nullptr};
    alignas(64) word few_;
};

}  // namespace steady::concurrent_detail
