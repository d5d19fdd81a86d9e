// meter.hpp - what a piece of code takes from the heap, and a promise that it takes nothing.
//
//   const audit::metered m = audit::meter([&] { index.insert(words); });
//   m.bytes, m.objects        allocated while it ran; live: still there afterwards
//
//   audit::allocs_per_run([&] { parse(line); })         as Go's testing.AllocsPerRun
//
//   { const audit::no_alloc_scope quiet("order path");  // says so, loudly, if it allocates
//     match(order); }
//
// The numbers are the heap's own exact counts, read before and after. They are kept where
// magazines change hands, so the paths of malloc and free are not touched at all: code that
// is metered runs as fast as without.
//
//   meter                       all threads: what the program took
//   allocs_per_run, no_alloc    the calling thread alone: what others do does not matter
//
// Peaks. Between two readings nobody looks: peak_bytes is the highest of the readings, which
// are the last one, one at each checkpoint() the code calls, and, if asked for, one at each
// step of a growing container (core's growth_hook): the moment when both places exist.
#pragma once

#include <cstdint>
#include <exception>
#include <utility>

#include "steady/heap/statistics.hpp"

namespace steady::audit {

/// Objects and bytes; object bytes are those of size classes and whole pages.
struct metered {
    std::uint64_t bytes = 0;      // allocated
    std::uint64_t objects = 0;    // allocated
    std::int64_t live_bytes = 0;  // more than before
    std::int64_t live_objects = 0;
    std::int64_t peak_bytes = 0;  // the most that was live at a reading, more than before
    std::uint64_t readings = 0;
};

enum class peaks : std::uint8_t { at_readings, at_growths };

/// One measurement from its making on.
class memory_meter {
public:
    /// at_growths  also looks whenever a container of the calling thread grows a step: some
    ///             microseconds each. Only one listener hears of growths; if there is one
    ///             already, it stays.
    explicit memory_meter(peaks when = peaks::at_readings) noexcept;
    ~memory_meter();
    memory_meter(const memory_meter&) = delete;
    memory_meter& operator=(const memory_meter&) = delete;

    /// Looks now, for the peak. Cost: a few microseconds.
    void checkpoint() noexcept;
    /// Looks, and says what there was since the beginning.
    [[nodiscard]] metered read() noexcept;

private:
    heap_statistics before_;
    std::int64_t peak_ = 0;
    std::uint64_t readings_ = 0;
    const void* thread_ = nullptr;  // whose growths count; null: nobody listens
};

/// Runs `f` and says what it took.
template <class F>
[[nodiscard]] metered meter(F&& f, peaks when = peaks::at_readings) {
    memory_meter m(when);
    std::forward<F>(f)();
    return m.read();
}

/// Objects allocated per call of `f`, averaged over `runs` and rounded down, as Go's
/// testing.AllocsPerRun: one call warms up and is not counted.
template <class F>
[[nodiscard]] double allocs_per_run(F&& f, std::uint64_t runs = 100) {
    f();
    const std::uint64_t before = read_thread_statistics().mallocs;
    for (std::uint64_t i = 0; i < runs; ++i) f();
    const std::uint64_t objects = read_thread_statistics().mallocs - before;
    return runs == 0 ? 0 : static_cast<double>(objects / runs);
}

/// Code that allocated although it had promised not to.
struct broken_promise {
    const char* scope;  // as the scope was named
    std::uint64_t objects;
    std::uint64_t bytes;
};
class allocated_error : public std::exception {
public:
    explicit allocated_error(const broken_promise& b) noexcept;
    [[nodiscard]] const char* what() const noexcept override { return text_; }
    [[nodiscard]] const broken_promise& promise() const noexcept { return promise_; }

private:
    broken_promise promise_;
    char text_[192];
};

using broken_promise_handler = void (*)(const broken_promise&);
/// What to do: stops the program with a message (the default), or throws allocated_error,
/// or only says so on stderr.
[[noreturn]] void stop_on_allocation(const broken_promise& b) noexcept;
void throw_on_allocation(const broken_promise& b);
void report_allocation(const broken_promise& b) noexcept;

/// The calling thread may allocate nothing from the default heap while it lives. Told at its
/// end: by then the code has run, and nothing was slowed down or stopped in the middle.
///
/// Threads    made and ended in one thread, whose allocations alone count. Under
///            STEADY_DEBUG=check those of all threads do.
class no_alloc_scope {
public:
    explicit no_alloc_scope(const char* name,
                            broken_promise_handler handler = stop_on_allocation) noexcept
        : name_{name},
          handler_{handler},
          exceptions_{std::uncaught_exceptions()},
          before_{read_thread_statistics()},
          all_before_{before_.exact ? heap_statistics{} : read_statistics()} {}
    no_alloc_scope(const no_alloc_scope&) = delete;
    no_alloc_scope& operator=(const no_alloc_scope&) = delete;
    /// Throws     what the handler throws, unless an exception is under way already.
    ~no_alloc_scope() noexcept(false);

    /// What was allocated so far.
    [[nodiscard]] broken_promise so_far() noexcept;

private:
    const char* name_;
    broken_promise_handler handler_;
    int exceptions_;
    thread_statistics before_;
    heap_statistics all_before_;
};

}  // namespace steady::audit
