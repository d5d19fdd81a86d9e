// transitions_model.hpp - random transitions against a model that knows the state and the
// contents of every page. One body for the fuzz target, its corpus and the tests.
//
//   input bytes ->  operation, area, place, length, ...      (missing bytes read as 0)
//
// After each operation the three ledgers equal the model's counts. After every 16th and at
// the end, /proc/self/maps is read: each page of our ranges has the protection its state
// demands, and the bytes mapped there equal the ledgers' sum (O1); stamped pages hold their
// stamp, and a sample of the others reads as zero (O4). A listener on os_hook watches O3.
//
// The operation `arm` makes one of the next operation's system calls fail. The model then
// expects O2: an error and nothing changed, or success because the call was not reached.
// Contents that were to be dropped may be lost; anything else may not.
//
// A broken promise prints its name and aborts, so that it works under libFuzzer and in a
// test alike.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <sys/mman.h>

#include "os/support/mappings.hpp"
#include "steady/core/hooks.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

namespace steady::testing {

#define MODEL_EXPECT(condition, promise)                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            std::fprintf(stderr, "transitions: %s\n  expected: %s\n  at operation %zu, %s:%d\n", \
                         promise, #condition, operations_, __FILE__, __LINE__);                  \
            std::abort();                                                                        \
        }                                                                                        \
    } while (false)

class transitions_model {
public:
    struct outcome {
        std::size_t operations = 0;
        std::size_t failures_met = 0;  // operations that returned an injected error
        std::size_t moves = 0;
    };

    transitions_model() : page_{os::os_page().count()} {
        for (auto& a : areas_) {
            a.pages.reserve(largest_area);
            a.stamps.reserve(largest_area);
        }
        base_ = {count_of(&os::memory_ledgers::reserved), count_of(&os::memory_ledgers::prepared),
                 count_of(&os::memory_ledgers::ready)};
        os_hook.install(&transitions_model::listen, this);
    }
    ~transitions_model() { os_hook.remove(); }
    transitions_model(const transitions_model&) = delete;
    transitions_model& operator=(const transitions_model&) = delete;

    /// Runs one input from an empty process state back to an empty one.
    outcome run(const std::uint8_t* data, std::size_t size, std::size_t most_operations = 400) {
        input_ = data;
        left_ = size;
        done_ = {};
        for (operations_ = 0; operations_ < most_operations && left_ > 0; ++operations_) {
            one_operation();
            compare_ledgers();
            if (operations_ % 16 == 15) compare_with_kernel();
        }
        compare_with_kernel();
        close_everything();
        compare_ledgers();
        done_.operations = operations_;
        return done_;
    }

private:
    enum class state : std::uint8_t { reserved, prepared, ready };  // reserved: None if nominal

    struct model_area {
        os::area area;
        std::vector<state> pages;
        std::vector<std::uint64_t> stamps;  // of a Ready page; 0 reads as zero
    };
    struct block {
        std::byte* start = nullptr;
        std::size_t size = 0;
    };
    struct run_of_pages {
        std::size_t first = 0, count = 0;
    };
    struct counts {
        std::size_t reserved = 0, prepared = 0, ready = 0;
    };

    static constexpr std::size_t largest_area = 2600;

    // ---- Input.

    std::uint8_t next() {
        if (left_ == 0) return 0;
        --left_;
        return *input_++;
    }
    std::size_t next_below(std::size_t n) {
        const std::size_t high = next();
        return n == 0 ? 0 : (high * 256 + next()) % n;
    }

    // ---- Operations.

    void one_operation() {
        const std::uint8_t operation = next() % 16;
        const std::size_t index = next() % areas_.size();
        model_area& a = areas_[index];
        if (operation == 0) return arm();
        if (operation == 1 || operation == 2) return a.area.is_open() ? write(a) : open(a);
        if (operation == 3) return map_or_unmap_block();
        if (!a.area.is_open()) return open(a);
        switch (operation) {
            case 4:
            case 5:
            case 6: return prepare(a);
            case 7:
            case 8: return use(a);
            case 9: return write(a);
            case 10: return decommit(a);
            case 11: return unprepare(a);
            case 12: return move(a, areas_[next() % areas_.size()]);
            case 13: return close(a);
            case 14: return hint(a);
            default: return next() % 2 ? misuse(a) : meet_a_stranger(a);
        }
    }

    // The next operation's k-th system call fails.
    void arm() { armed_ = 1 + next() % 4; }
    void begin() { os::detail::fail_nth_call(armed_, armed_ != 0 ? next() % 3 : 0); }
    // True when a call failed on our behalf: then an error is in order.
    bool end() {
        armed_ = 0;
        const bool failed = os::detail::fail_nth_call(0) != 0;
        if (failed) ++done_.failures_met;
        return failed;
    }

    void open(model_area& a) {
        static constexpr std::size_t sizes[] = {1, 2, 3, 16, 64, 511, 513, 1025, 2600};
        const std::size_t pages = sizes[next() % std::size(sizes)];
        const std::size_t alignment = page_ << next() % 12;
        const bool shrink = next() % 2;
        if (next() % 3 == 0) armed_ = 1;  // refused a reservation, the area becomes nominal
        begin();
        const auto opened =
            os::area::open(bytes{pages * page_}, bytes{alignment}, 0, shrink, bytes{page_});
        const bool failed = end();
        if (!opened) {
            MODEL_EXPECT(failed, "open failed though no call did");
            return;
        }
        a.area = *opened;
        MODEL_EXPECT(failed || a.area.reserved_up_front(), "nominal though nothing failed");
        MODEL_EXPECT(reinterpret_cast<std::uintptr_t>(a.area.base()) % alignment == 0,
                     "the area is not aligned");
        const std::size_t got = a.area.size().count() / page_;
        MODEL_EXPECT(got == pages || (shrink && got < pages), "the area has another size");
        a.pages.assign(got, state::reserved);
        a.stamps.assign(got, 0);
        expected_.reserved += a.area.mapping_size().count();
    }

    void prepare(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s == state::reserved; });
        if (run.count == 0) return;
        begin();
        const auto done = a.area.prepare(at(run.first), at(run.count));
        if (refused(end(), done)) return;
        set(a, run, state::prepared);
        if (a.area.reserved_up_front()) expected_.reserved -= run.count * page_;
        expected_.prepared += run.count * page_;
        expect_zero(a, run);
    }

    void use(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s == state::prepared; });
        if (run.count == 0) return;
        os::use(address(a, run.first), at(run.count));
        set(a, run, state::ready);
        expected_.prepared -= run.count * page_;
        expected_.ready += run.count * page_;
    }

    void write(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s == state::ready; });
        for (std::size_t i = run.first; i < run.first + run.count && i < run.first + 8; ++i) {
            a.stamps[i] = ++last_stamp_;
            word_of(a, i, 0) = last_stamp_;
            word_of(a, i, page_ / 8 - 1) = last_stamp_;
        }
    }

    void decommit(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s == state::ready; });
        if (run.count == 0) return;
        begin();
        const auto done = os::decommit(address(a, run.first), at(run.count), next() % 2);
        if (refused(end(), done)) return accept_loss(a, run);
        set(a, run, state::prepared);
        expected_.ready -= run.count * page_;
        expected_.prepared += run.count * page_;
        expect_zero(a, run);
    }

    void unprepare(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s != state::reserved; });
        if (run.count == 0) return;
        const std::size_t ready = count(a, run, state::ready);
        begin();
        const auto done = a.area.unprepare(at(run.first), at(run.count), bytes{ready * page_});
        if (refused(end(), done)) return accept_loss(a, run);
        set(a, run, state::reserved);
        expected_.ready -= ready * page_;
        expected_.prepared -= (run.count - ready) * page_;
        if (a.area.reserved_up_front()) expected_.reserved += run.count * page_;
    }

    // The pages of a Ready run change places with a Prepared run, in this area or another.
    void move(model_area& a, model_area& b) {
        if (!b.area.is_open()) return;
        run_of_pages from = pick(a, [](state s) { return s == state::ready; });
        run_of_pages to = pick(b, [](state s) { return s == state::prepared; });
        from.count = to.count = from.count < to.count ? from.count : to.count;
        if (from.count == 0) return;
        begin();
        const auto done = os::move(address(a, from.first), address(b, to.first), at(from.count));
        end();
        MODEL_EXPECT(done, "move cannot fail: what the kernel does not move is copied");
        for (std::size_t i = 0; i < from.count; ++i) {
            b.stamps[to.first + i] = a.stamps[from.first + i];
        }
        set_states_only(b, to, state::ready);
        set(a, from, state::prepared);
        expect_zero(a, from);
        expect_stamps(b, to);
        ++done_.moves;
    }

    void close(model_area& a) {
        const run_of_pages all{0, a.pages.size()};
        const bool empty = count(a, all, state::reserved) == all.count;
        const std::size_t mapped = a.area.mapping_size().count();
        if (!empty) {
            const auto done = a.area.close();
            MODEL_EXPECT(!done && done.error().code == errc::invalid_argument,
                         "close of an area with prepared parts must be refused");
            return;
        }
        begin();
        const auto done = a.area.close();
        if (refused(end(), done)) return;
        expected_.reserved -= mapped;
        MODEL_EXPECT(!a.area.is_open(), "a closed area is open");
    }

    void hint(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s != state::reserved; });
        if (run.count == 0) return;
        begin();
        // Hints change no state and may be refused for any reason.
        (void)(next() % 2 ? os::hint_huge(address(a, run.first), at(run.count))
                          : os::hint_no_huge(address(a, run.first), at(run.count)));
        end();
    }

    void misuse(model_area& a) {
        const bytes size = a.area.size(), page{page_};
        MODEL_EXPECT(!a.area.prepare(bytes{1}, page), "prepare took an odd offset");
        MODEL_EXPECT(!a.area.prepare(bytes{}, bytes{}), "prepare took an empty range");
        MODEL_EXPECT(!a.area.prepare(size, page), "prepare took a range behind the area");
        MODEL_EXPECT(!a.area.prepare(bytes{}, size + page), "prepare took too much");
        MODEL_EXPECT(!a.area.prepare(page, bytes{~std::size_t{0} - page_ + 1}),
                     "prepare took a length that wraps around");
        MODEL_EXPECT(!a.area.unprepare(bytes{}, page, page + page),
                     "unprepare took more ready bytes than the range has");
        MODEL_EXPECT(!os::decommit(a.area.base() + 8, page, false), "decommit took an odd address");
        MODEL_EXPECT(!os::move(a.area.base(), a.area.base(), page), "move onto itself");
    }

    // Somebody else maps a page in a nominal area: prepare must see him and spare him.
    void meet_a_stranger(model_area& a) {
        const run_of_pages run = pick(a, [](state s) { return s == state::reserved; });
        if (a.area.reserved_up_front() || run.count == 0) return;
        std::byte* const place = address(a, run.first + run.count / 2);
        void* const stranger = ::mmap(place, page_, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        MODEL_EXPECT(stranger == place, "a None page of a nominal area is taken");
        std::memset(stranger, 0x5a, page_);
        const auto done = a.area.prepare(at(run.first), at(run.count));
        MODEL_EXPECT(!done && done.error().code == errc::occupied,
                     "prepare over a foreign mapping must say occupied");
        MODEL_EXPECT(*place == std::byte{0x5a}, "prepare destroyed a foreign mapping");
        ::munmap(stranger, page_);
    }

    void map_or_unmap_block() {
        block& b = blocks_[next() % blocks_.size()];
        begin();
        if (b.start == nullptr) {
            const std::size_t size = page_ * (1 + next() % 8);
            const auto mapped = os::map_plain(bytes{size});
            if (refused(end(), mapped)) return;
            b = {*mapped, size};
            expected_.ready += size;
            MODEL_EXPECT(b.start[size - 1] == std::byte{0}, "O4 a fresh block is not zero");
            b.start[0] = std::byte{1};
        } else {
            const auto done = os::unmap_plain(b.start, bytes{b.size});
            if (refused(end(), done)) return;
            expected_.ready -= b.size;
            b = {};
        }
    }

    void close_everything() {
        os::detail::fail_nth_call(0);
        armed_ = 0;
        for (block& b : blocks_) {
            if (b.start == nullptr) continue;
            MODEL_EXPECT(os::unmap_plain(b.start, bytes{b.size}), "unmap_plain failed");
            expected_.ready -= b.size;
            b = {};
        }
        for (model_area& a : areas_) {
            if (!a.area.is_open()) continue;
            for (std::size_t i = 0; i < a.pages.size();) {
                run_of_pages run{i, 0};
                while (i < a.pages.size() && a.pages[i] != state::reserved) ++i, ++run.count;
                if (run.count == 0) {
                    ++i;
                    continue;
                }
                const bytes ready{count(a, run, state::ready) * page_};
                MODEL_EXPECT(a.area.unprepare(at(run.first), at(run.count), ready),
                             "unprepare failed");
            }
            MODEL_EXPECT(a.area.close(), "close failed");
        }
        expected_ = {};
    }

    // ---- Comparing.

    void compare_ledgers() {
        const counts seen{count_of(&os::memory_ledgers::reserved) - base_.reserved,
                          count_of(&os::memory_ledgers::prepared) - base_.prepared,
                          count_of(&os::memory_ledgers::ready) - base_.ready};
        MODEL_EXPECT(seen.reserved == expected_.reserved, "O1 ledger os.reserved");
        MODEL_EXPECT(seen.prepared == expected_.prepared, "O1 ledger os.prepared");
        MODEL_EXPECT(seen.ready == expected_.ready, "O1 ledger os.ready");
    }

    void compare_with_kernel() {
        static mappings maps;
        maps.read();
        std::size_t mapped = 0;
        for (const block& b : blocks_) {
            if (b.start != nullptr) mapped += mapped_as(maps, b.start, b.size, true);
        }
        for (model_area& a : areas_) {
            if (!a.area.is_open()) continue;
            for (std::size_t i = 0; i < a.pages.size();) {
                const bool open = a.pages[i] != state::reserved;
                std::size_t n = 0;
                while (i + n < a.pages.size() && (a.pages[i + n] != state::reserved) == open) ++n;
                mapped += mapped_as(maps, address(a, i), n * page_, open,
                                    open || a.area.reserved_up_front());
                i += n;
            }
            if (a.area.reserved_up_front()) {
                // Around an aligned area lies what alignment cost.
                const auto* end = a.area.mapping() + a.area.mapping_size().count();
                const auto* area_end = a.area.base() + a.area.size().count();
                const auto before = static_cast<std::size_t>(a.area.base() - a.area.mapping());
                const auto behind = static_cast<std::size_t>(end - area_end);
                mapped += mapped_as(maps, a.area.mapping(), before, false);
                mapped += mapped_as(maps, area_end, behind, false);
            }
            expect_stamps(a, {0, a.pages.size()});
        }
        const std::size_t known = expected_.reserved + expected_.prepared + expected_.ready;
        MODEL_EXPECT(mapped == known, "O1 the ledgers' sum is not what the kernel has mapped");
    }

    // Bytes of the range the kernel has mapped, after making sure that it is all or nothing.
    std::size_t mapped_as(const mappings& maps, const std::byte* start, std::size_t size,
                          bool read_write, bool present = true) {
        const auto from = reinterpret_cast<std::uintptr_t>(start);
        const std::size_t all = maps.mapped(from, from + size).count();
        MODEL_EXPECT(all == (present ? size : 0), "a range is mapped that should not be, or not");
        MODEL_EXPECT(maps.mapped(from, from + size, true).count() == (read_write ? size : 0),
                     "a range has another protection than its state demands");
        return all;
    }

    void expect_stamps(model_area& a, run_of_pages run) {
        for (std::size_t i = run.first; i < run.first + run.count; ++i) {
            if (a.stamps[i] == 0 && i % 97 != 0) continue;  // of the zero pages a sample
            if (a.pages[i] == state::reserved) continue;
            MODEL_EXPECT(word_of(a, i, 0) == a.stamps[i], "a page lost its contents");
            MODEL_EXPECT(word_of(a, i, page_ / 8 - 1) == a.stamps[i], "a page lost its contents");
        }
    }

    void expect_zero(model_area& a, run_of_pages run) {
        const std::size_t last = run.first + run.count - 1;
        for (const std::size_t i : {run.first, run.first + run.count / 2, last}) {
            MODEL_EXPECT(word_of(a, i, 0) == 0 && word_of(a, i, page_ / 8 - 1) == 0,
                         "O4 a Prepared page does not read as zero");
        }
    }

    // An operation that drops contents failed: each page has its stamp still, or zero.
    void accept_loss(model_area& a, run_of_pages run) {
        for (std::size_t i = run.first; i < run.first + run.count; ++i) {
            const std::uint64_t now = word_of(a, i, 0);
            MODEL_EXPECT(now == a.stamps[i] || now == 0, "a page holds what nobody wrote");
            a.stamps[i] = now;
        }
    }

    template <class Result>
    bool refused(bool call_failed, const Result& done) {
        if (done) return false;
        MODEL_EXPECT(call_failed, "an operation failed though no call did");
        MODEL_EXPECT(done.error().action != nullptr && done.error().system_errno == ENOMEM,
                     "an error must say what was attempted and what the kernel said");
        return true;
    }

    // ---- Pages.

    template <class Condition>
    run_of_pages pick(const model_area& a, Condition condition) {
        const std::size_t total = a.pages.size();
        std::size_t first = next_below(total);
        const std::size_t wanted = 1 + (next() % 2 ? next_below(total) : next() % 16);
        std::size_t looked = 0;
        while (looked < total && !condition(a.pages[first])) {
            first = (first + 1) % total;
            ++looked;
        }
        if (looked == total) return {};
        run_of_pages run{first, 0};
        while (run.count < wanted && first + run.count < total &&
               condition(a.pages[first + run.count])) {
            ++run.count;
        }
        return run;
    }

    static std::size_t count(const model_area& a, run_of_pages run, state wanted) {
        std::size_t n = 0;
        for (std::size_t i = run.first; i < run.first + run.count; ++i) n += a.pages[i] == wanted;
        return n;
    }
    static void set_states_only(model_area& a, run_of_pages run, state s) {
        for (std::size_t i = run.first; i < run.first + run.count; ++i) a.pages[i] = s;
    }
    static void set(model_area& a, run_of_pages run, state s) {
        set_states_only(a, run, s);
        for (std::size_t i = run.first; i < run.first + run.count; ++i) a.stamps[i] = 0;
    }

    bytes at(std::size_t pages) const { return bytes{pages * page_}; }
    std::byte* address(const model_area& a, std::size_t page) const {
        return a.area.base() + page * page_;
    }
    volatile std::uint64_t& word_of(const model_area& a, std::size_t page,
                                    std::size_t index) const {
        return reinterpret_cast<std::uint64_t*>(address(a, page))[index];
    }
    static std::size_t count_of(ledger os::memory_ledgers::*which) {
        return (os::ledgers().*which).value().count();
    }

    static void listen(void* self, const os_event& event) {
        auto& model = *static_cast<transitions_model*>(self);
        model.expect_bounded(event);
    }
    void expect_bounded(const os_event& event) {
        MODEL_EXPECT(event.touched <= os::step, "O3 one system call walks more than 2 MiB");
    }

    const std::size_t page_;
    std::array<model_area, 3> areas_;
    std::array<block, 4> blocks_;
    counts base_, expected_;
    std::uint64_t last_stamp_ = 0;
    std::uint64_t armed_ = 0;
    std::size_t operations_ = 0;
    outcome done_;
    const std::uint8_t* input_ = nullptr;
    std::size_t left_ = 0;
};

}  // namespace steady::testing
