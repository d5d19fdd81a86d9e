// What each arrow of memory.hpp promises, one at a time.
#include "steady/os/memory.hpp"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/resource.h>

#include "os/support/processes.hpp"
#include "steady/core/hooks.hpp"
#include "steady/os/detail/lines.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/detail/syscall.hpp"

namespace {

using namespace steady;
using steady::testing::in_child;
using steady::testing::rerun_with;
using steady::testing::sanitized;

// Listens to os_hook while it lives.
class watch {
public:
    watch() { os_hook.install(&watch::listen, this); }
    ~watch() { os_hook.remove(); }
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;

    std::vector<os_event> events;

    [[nodiscard]] std::size_t calls(os_call kind) const {
        std::size_t n = 0;
        for (const os_event& e : events) n += e.call == kind;
        return n;
    }

private:
    static void listen(void* self, const os_event& event) {
        static_cast<watch*>(self)->events.push_back(event);
    }
};

os::area open_area(bytes size, bytes alignment = 2_MiB) {
    return os::area::open(size, alignment, 0, false, size).value();
}

// Opens an area with `length` bytes Ready at its start.
os::area open_ready(bytes size, bytes length) {
    os::area a = open_area(size);
    a.prepare({}, length).value();
    os::use(a.base(), length);
    return a;
}

std::size_t resident_pages(const void* start, bytes length) {
    std::vector<unsigned char> pages(length / os::os_page());
    EXPECT_EQ(mincore(const_cast<void*>(start), length.count(), pages.data()), 0);
    std::size_t n = 0;
    for (const unsigned char p : pages) n += p & 1;
    return n;
}

long page_faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

// The VmFlags of the mapping that holds the address: "rd wr mr mw me ac hg ..."
std::string flags_at(const void* p) {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    os::detail::line_reader smaps("/proc/self/smaps");
    bool here = false;
    for (std::string_view line; smaps.next(line);) {
        std::uint64_t start = 0, end = 0;
        std::string_view rest = line;
        if (os::detail::take_number(rest, start, 16) && os::detail::take(rest, "-") &&
            os::detail::take_number(rest, end, 16)) {
            here = start <= address && address < end;
        } else if (here && os::detail::take(rest, "VmFlags:")) {
            return std::string(rest) + " ";
        }
    }
    return {};
}

TEST(area, a_terabyte_is_opened_without_a_page_of_memory) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer leaves no TiB of addresses free everywhere";
#endif
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    os::area a = os::area::open(1_TiB, 64_MiB, 0, true, 64_MiB).value();
    getrusage(RUSAGE_SELF, &after);
    EXPECT_TRUE(a.reserved_up_front());
    EXPECT_EQ(a.size(), 1_TiB);
    EXPECT_LE(after.ru_maxrss - before.ru_maxrss, 256);  // KiB
    a.close().value();
}

TEST(area, takes_the_hint_when_nobody_is_there_and_another_place_when_somebody_is) {
    if (sanitized) GTEST_SKIP() << "sanitizers own the addresses hints point to";
    constexpr std::uintptr_t hint = 0x00d0'0000'0000;
    os::area first = os::area::open(1_GiB, 64_MiB, hint, false, 1_GiB).value();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.base()), hint);
    os::area second = os::area::open(1_GiB, 64_MiB, hint, false, 1_GiB).value();
    EXPECT_NE(second.base(), first.base());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.base()) % (64_MiB).count(), 0u);
    second.close().value();
    first.close().value();
}

TEST(area, halves_itself_until_the_kernel_agrees) {
    os::detail::fail_nth_call(1, 1);  // 1 GiB and 512 MiB are refused
    os::area a = os::area::open(1_GiB, 2_MiB, 0, true, 64_MiB).value();
    EXPECT_EQ(os::detail::fail_nth_call(0), 2u);
    EXPECT_TRUE(a.reserved_up_front());
    EXPECT_EQ(a.size(), 256_MiB);
    a.close().value();
}

TEST(area, becomes_nominal_when_nothing_can_be_reserved) {
    os::detail::fail_nth_call(1, 100);
    auto opened = os::area::open(1_GiB, 2_MiB, 0, true, 256_MiB);
    EXPECT_EQ(os::detail::fail_nth_call(0), 3u);  // 1 GiB, 512 MiB, 256 MiB
    os::area a = opened.value();
    EXPECT_FALSE(a.reserved_up_front());
    EXPECT_EQ(a.size(), 1_GiB);
    EXPECT_EQ(a.mapping_size(), 0_B);
    a.prepare(10_MiB, 1_MiB).value();
    os::use(a.base() + (10_MiB).count(), 1_MiB);
    a.base()[(10_MiB).count()] = std::byte{1};
    EXPECT_EQ(a.close().error().code, errc::invalid_argument);
    a.unprepare(10_MiB, 1_MiB, 1_MiB).value();
    a.close().value();
}

TEST(area, nominal_areas_never_share_addresses) {
    std::vector<os::area> areas;
    for (int i = 0; i < 20; ++i) {
        os::detail::fail_nth_call(1);
        areas.push_back(os::area::open(64_MiB, 2_MiB, 0, false, 64_MiB).value());
        os::detail::fail_nth_call(0);
        ASSERT_FALSE(areas.back().reserved_up_front());
        for (int j = 0; j < i; ++j) {
            const auto& other = areas[static_cast<std::size_t>(j)];
            const bool apart = areas.back().base() + (64_MiB).count() <= other.base() ||
                               other.base() + (64_MiB).count() <= areas.back().base();
            EXPECT_TRUE(apart);
        }
    }
    for (auto& a : areas) a.close().value();
}

// The kernel knows nothing of nominal areas: what it maps over one is given back.
TEST(area, a_reservation_never_covers_a_nominal_area) {
    os::detail::fail_nth_call(1);
    os::area nominal = os::area::open(64_MiB, 2_MiB, 0, false, 64_MiB).value();
    os::detail::fail_nth_call(0);
    ASSERT_FALSE(nominal.reserved_up_front());
    const auto hint = reinterpret_cast<std::uintptr_t>(nominal.base());
    os::area reserved = os::area::open(64_MiB, 2_MiB, hint, false, 64_MiB).value();
    EXPECT_TRUE(reserved.reserved_up_front());
    EXPECT_TRUE(reserved.base() + (64_MiB).count() <= nominal.base() ||
                nominal.base() + (64_MiB).count() <= reserved.base());
    nominal.prepare(0_B, 64_MiB).value();
    nominal.unprepare(0_B, 64_MiB, 0_B).value();
    nominal.close().value();
    reserved.close().value();
}

TEST(area, rejects_what_makes_no_sense) {
    const auto code = [](const result<os::area>& r) { return r.error().code; };
    EXPECT_EQ(code(os::area::open(0_B, 4_KiB, 0, false, 0_B)), errc::invalid_argument);
    EXPECT_EQ(code(os::area::open(bytes{4097}, 4_KiB, 0, false, 0_B)), errc::invalid_argument);
    EXPECT_EQ(code(os::area::open(64_KiB, bytes{12288 + 65536}, 0, false, 0_B)),
              errc::invalid_argument);
    EXPECT_EQ(code(os::area::open(64_KiB, 64_KiB, 0, true, 128_KiB)), errc::invalid_argument);
    EXPECT_EQ(os::map_plain(bytes{100}).error().code, errc::invalid_argument);
}

TEST(area, reserved_memory_faults_and_prepared_memory_does_not) {
    os::area a = open_area(4_MiB);
    std::byte* const p = a.base();
    EXPECT_EQ(in_child([&] {
                  signal(SIGSEGV, SIG_DFL);
                  *reinterpret_cast<volatile std::byte*>(p) = std::byte{1};
                  return 0;
              }),
              1000 + SIGSEGV);
    a.prepare({}, 2_MiB).value();
    EXPECT_EQ(*p, std::byte{0});
    os::use(p, 2_MiB);
    *p = std::byte{1};
    a.unprepare({}, 2_MiB, 2_MiB).value();
    a.close().value();
}

TEST(decommit, gives_the_pages_back_and_leaves_zeroes) {
    os::area a = open_ready(8_MiB, 8_MiB);
    (void)os::hint_no_huge(a.base(), 8_MiB);
    std::memset(a.base(), 0x77, (8_MiB).count());
    EXPECT_EQ(resident_pages(a.base(), 8_MiB), 8_MiB / os::os_page());
    os::decommit(a.base() + (2_MiB).count(), 4_MiB, true).value();
    EXPECT_EQ(resident_pages(a.base(), 8_MiB), 4_MiB / os::os_page());
    EXPECT_EQ(a.base()[(3_MiB).count()], std::byte{0});
    EXPECT_EQ(a.base()[(7_MiB).count()], std::byte{0x77});
    a.unprepare({}, 8_MiB, 4_MiB).value();
    a.close().value();
}

TEST(memory, pages_that_were_populated_are_there_before_anybody_touches_them) {
    const bytes size = 64_KiB;
    const auto block = os::map_plain(size);
    ASSERT_TRUE(block);
    EXPECT_EQ(resident_pages(*block, size), 0u);
    os::populate(*block, 16_KiB);
    EXPECT_EQ(resident_pages(*block, size), 16_KiB / os::os_page());
    EXPECT_TRUE(os::unmap_plain(*block, size));
}

TEST(decommit, says_so_when_memory_in_the_background_is_given_back) {
    os::area a = open_ready(4_MiB, 4_MiB);
    watch seen;
    os::decommit(a.base(), 4_MiB, true).value();
    for (const os_event& e : seen.events) EXPECT_TRUE(e.background);
    EXPECT_EQ(seen.calls(os_call::decommit), 2u);
    a.unprepare({}, 4_MiB, {}).value();
    a.close().value();
}

TEST(steps, no_call_walks_more_than_two_mebibytes_whatever_is_dropped_or_moved) {
    constexpr bytes size = 64_MiB, odd = 1_MiB + 12_KiB;
    os::area a = open_ready(2 * size, size);
    for (std::size_t i = 0; i < size.count(); i += 4096) a.base()[i] = std::byte{1};
    watch seen;
    a.prepare(size, size).value();
    ASSERT_TRUE(os::move(a.base(), a.base() + size.count(), size));
    os::decommit(a.base() + (size + odd).count(), 20_MiB, false).value();
    a.unprepare({}, 2 * size, size - 20_MiB).value();
    a.close().value();
    std::size_t walked = 0;
    for (const os_event& e : seen.events) {
        EXPECT_LE(e.touched, 2_MiB);
        walked += e.touched.count();
    }
    EXPECT_GE(walked, (2 * size).count());  // or nothing was dropped in steps
}

TEST(steps, end_at_two_mebibyte_boundaries_so_that_no_huge_page_is_split) {
    os::area a = open_ready(16_MiB, 16_MiB);
    watch seen;
    os::decommit(a.base() + (1_MiB).count(), 10_MiB, false).value();
    ASSERT_EQ(seen.events.size(), 6u);
    for (std::size_t i = 1; i < seen.events.size(); ++i) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(seen.events[i].address) % (2_MiB).count(), 0u);
    }
    EXPECT_EQ(seen.events.front().touched, 1_MiB);
    EXPECT_EQ(seen.events.back().touched, 1_MiB);
    a.unprepare({}, 16_MiB, 6_MiB).value();
    a.close().value();
}

TEST(steps, memory_that_was_never_used_is_taken_back_in_one_call) {
    os::area a = open_area(1_GiB);
    a.prepare({}, 1_GiB).value();
    watch seen;
    a.unprepare({}, 1_GiB, {}).value();
    EXPECT_EQ(seen.calls(os_call::decommit), 0u);
    EXPECT_EQ(seen.calls(os_call::release), 1u);
    a.close().value();
}

TEST(move, carries_the_pages_over_without_copying_or_faulting) {
    constexpr bytes size = 16_MiB;
    os::area a = open_ready(2 * size, size);
    (void)os::hint_no_huge(a.base(), size);
    for (std::size_t i = 0; i < size.count(); i += 8) {
        std::memcpy(a.base() + i, &i, sizeof i);
    }
    a.prepare(size, size).value();
    const long faults_before = page_faults();
    ASSERT_TRUE(os::move(a.base(), a.base() + size.count(), size));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size.count(); i += 8) {
        wrong += std::memcmp(a.base() + size.count() + i, &i, sizeof i) != 0;
    }
    EXPECT_EQ(wrong, 0u);
    if (!sanitized) {                                  // their shadow faults too
        EXPECT_LE(page_faults() - faults_before, 64);  // copying takes 4096 and more
    }
    EXPECT_EQ(a.base()[0], std::byte{0});
    a.unprepare({}, 2 * size, size).value();
    a.close().value();
}

TEST(move, copies_what_the_kernel_refuses_to_move) {
    constexpr bytes size = 6_MiB;
    os::area a = open_ready(2 * size, size);
    for (std::size_t i = 0; i < size.count(); i += 4096) a.base()[i] = std::byte{7};
    a.prepare(size, size).value();
    for (std::uint64_t n = 1; n <= 6; ++n) {
        os::detail::fail_nth_call(n, n % 3);
        const bytes copied = os::move(a.base(), a.base() + size.count(), size).value();
        os::detail::fail_nth_call(0);
        EXPECT_EQ(copied % 2_MiB, 0_B);
        EXPECT_GT(copied + bytes{n > 3}, 0_B) << "three steps, and one of them refused";
        for (std::size_t i = 0; i < size.count(); i += 4096) {
            ASSERT_EQ(a.base()[size.count() + i], std::byte{7}) << "failure " << n;
            ASSERT_EQ(a.base()[i], std::byte{0}) << "failure " << n;
        }
        ASSERT_TRUE(os::move(a.base() + size.count(), a.base(), size));
    }
    a.unprepare({}, 2 * size, size).value();
    a.close().value();
}

// A sandbox may forbid mincore; that is no hole, and no reason to stop.
TEST(move, a_destination_nobody_may_ask_about_is_still_there) {
    EXPECT_EQ(in_child([] {
                  os::area a = open_ready(4_MiB, 4_MiB);
                  a.base()[0] = std::byte{1};
                  sock_filter code[] = {
                      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mincore, 0, 1),
                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
                  const sock_fprog program{4, code};
                  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 0;
                  os::detail::restore_destination(a.base(), (2_MiB).count());
                  return a.base()[0] == std::byte{1} ? 0 : 1;
              }),
              0);
}

TEST(move, works_across_mappings_that_the_kernel_keeps_apart) {
    constexpr bytes size = 4_MiB;
    os::area a = open_ready(2 * size, size);
    // Different advice splits the mapping in the middle of a step, and mremap then refuses.
    madvise(a.base() + (1_MiB).count(), 1 << 20, MADV_DONTFORK);
    for (std::size_t i = 0; i < size.count(); i += 4096) a.base()[i] = std::byte{9};
    a.prepare(size, size).value();
    ASSERT_TRUE(os::move(a.base(), a.base() + size.count(), size));
    for (std::size_t i = 0; i < size.count(); i += 4096) {
        ASSERT_EQ(a.base()[size.count() + i], std::byte{9});
        ASSERT_EQ(a.base()[i], std::byte{0});
    }
    a.unprepare({}, 2 * size, size).value();
    a.close().value();
}

TEST(move, a_destination_that_the_kernel_has_unmapped_is_mapped_again) {
    os::area a = open_ready(4_MiB, 4_MiB);
    a.base()[0] = std::byte{1};
    os::detail::restore_destination(a.base(), (2_MiB).count());
    EXPECT_EQ(a.base()[0], std::byte{1});  // nothing was missing, nothing changed
    ASSERT_EQ(munmap(a.base(), (2_MiB).count()), 0);
    os::detail::restore_destination(a.base(), (2_MiB).count());
    EXPECT_EQ(a.base()[0], std::byte{0});
    a.unprepare({}, 4_MiB, 4_MiB).value();
    a.close().value();
}

TEST(failures, a_limit_on_address_space_makes_areas_nominal_and_is_named) {
    if (sanitized) GTEST_SKIP() << "sanitizers need more address space than any limit";
    EXPECT_EQ(in_child([] {
                  const rlimit limit{(1_GiB).count(), (1_GiB).count()};
                  setrlimit(RLIMIT_AS, &limit);
                  const bytes before = os::ledgers().mapped();
                  auto a = os::area::open(1_TiB, 64_MiB, 0xc0'0000'0000, true, 64_MiB);
                  if (!a || a->reserved_up_front() || a->size() != 1_TiB) return 1;
                  if (os::ledgers().mapped() != before) return 2;
                  bytes at{};
                  for (;; at += 64_MiB) {
                      const auto done = a->prepare(at, 64_MiB);
                      if (done) continue;
                      if (os::explain(done.error(), 64_MiB).code != errc::address_space_limit)
                          return 3;
                      break;
                  }
                  if (at < 512_MiB) return 4;
                  if (os::ledgers().mapped() != before + at) return 5;
                  if (!a->unprepare({}, at, {}) || !a->prepare({}, at)) return 6;
                  return 0;
              }),
              0);
}

TEST(failures, a_limit_on_data_is_named_too) {
    if (sanitized) GTEST_SKIP() << "sanitizers map data of their own";
    EXPECT_EQ(in_child([] {
                  const rlimit limit{(256_MiB).count(), (256_MiB).count()};
                  setrlimit(RLIMIT_DATA, &limit);
                  auto a = os::area::open(1_TiB, 64_MiB, 0, true, 64_MiB);
                  if (!a || !a->reserved_up_front()) return 1;
                  const auto done = a->prepare({}, 512_MiB);
                  if (done) return 2;
                  if (os::explain(done.error(), 512_MiB).code != errc::address_space_limit)
                      return 4;
                  return a->prepare({}, 64_MiB) ? 0 : 3;
              }),
              0);
}

TEST(failures, too_many_mappings_are_named_and_nothing_is_lost) {
    if (sanitized) GTEST_SKIP() << "sanitizers need mappings of their own";
    std::uint64_t limit = 0;
    ASSERT_TRUE(os::detail::read_number("/proc/sys/vm/max_map_count", limit));
    if (limit > 300'000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many to reach";
    EXPECT_EQ(in_child([&] {
                  const bytes page = os::os_page();
                  os::area a = os::area::open(page * 2 * limit, page, 0, false, {}).value();
                  std::size_t i = 0;
                  for (; i < limit; ++i) {
                      const auto done = a.prepare(page * 2 * i, page);
                      if (done) continue;
                      if (os::explain(done.error(), page).code != errc::map_count_limit) return 1;
                      break;
                  }
                  if (i == limit) return 2;
                  if (a.prepared() != page * i) return 3;
                  // Below the limit again, everything works again.
                  for (std::size_t j = 0; j < 8; ++j) {
                      if (!a.unprepare(page * 2 * j, page, {})) return 4;
                  }
                  return a.prepare(page * 2 * i, page) ? 0 : 5;
              }),
              0);
}

TEST(failures, every_refused_call_is_an_error_that_changed_nothing) {
    const bytes page = os::os_page();
    auto& ledgers = os::ledgers();
    for (std::uint64_t n = 1;; ++n) {
        const bytes before = ledgers.mapped();
        os::area a;
        bool prepared = false;
        std::byte* block = nullptr;
        os::detail::fail_nth_call(n);
        if (const auto opened = os::area::open(page * 64, page, 0, false, {})) a = *opened;
        if (a.is_open()) prepared = bool{a.prepare({}, page * 8)};
        if (const auto mapped = os::map_plain(page)) block = *mapped;
        const bool fired = os::detail::fail_nth_call(0) != 0;
        bytes expected = before + a.mapping_size();
        if (prepared && !a.reserved_up_front()) expected += page * 8;
        if (block != nullptr) expected += page;
        ASSERT_EQ(ledgers.mapped(), expected) << "failure " << n;
        if (block != nullptr) os::unmap_plain(block, page).value();
        if (prepared) a.unprepare({}, page * 8, {}).value();
        if (a.is_open()) a.close().value();
        ASSERT_EQ(ledgers.mapped(), before) << "failure " << n;
        if (!fired) {
            EXPECT_GE(n, 4u);  // reservation, prepare, block: at least three calls were failed
            break;
        }
    }
}

TEST(huge_pages, hints_reach_the_mapping) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    os::area a = open_ready(8_MiB, 8_MiB);
    os::hint_huge(a.base(), 4_MiB).value();
    os::hint_no_huge(a.base() + (4_MiB).count(), 4_MiB).value();
    EXPECT_NE(flags_at(a.base()).find(" hg "), std::string::npos);
    EXPECT_NE(flags_at(a.base() + (4_MiB).count()).find(" nh "), std::string::npos);
    a.unprepare({}, 8_MiB, 8_MiB).value();
    a.close().value();
}

// What is nearly all there becomes one page, with its contents; what is not stays as it is.
TEST(huge_pages, a_resident_range_collapses) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    constexpr std::size_t two_mib = (2_MiB).count();
    os::area a = open_ready(8_MiB, 8_MiB);
    (void)os::hint_no_huge(a.base(), 8_MiB);
    for (std::size_t i = 0; i < two_mib; ++i)
        a.base()[i] = static_cast<std::byte>(i * 7 + (i >> 12));
    std::memset(a.base() + two_mib, 1, two_mib - 5 * 4096);
    EXPECT_FALSE(os::collapse(a.base() + two_mib)) << "five pages would become resident";
    EXPECT_NE(flags_at(a.base() + two_mib).find(" nh "), std::string::npos);
    const bool done = os::collapse(a.base());
    for (std::size_t i = 0; i < two_mib; ++i)
        ASSERT_EQ(a.base()[i], static_cast<std::byte>(i * 7 + (i >> 12))) << i;
    EXPECT_NE(flags_at(a.base()).find(done ? " hg " : " nh "), std::string::npos);
    a.unprepare({}, 8_MiB, 8_MiB).value();
    a.close().value();
}

// ---- Options are read once, so these run in processes of their own.

TEST(huge_pages, DISABLED_nobody_gets_them) {
    os::area a = open_ready(4_MiB, 4_MiB);
    watch seen;
    EXPECT_EQ(os::hint_huge(a.base(), 4_MiB).error().code, errc::unsupported);
    EXPECT_EQ(seen.calls(os_call::huge_page_hint), 0u);
}

TEST(huge_pages, DISABLED_nobody_can_refuse_them) {
    os::area a = open_ready(4_MiB, 4_MiB);
    watch seen;
    EXPECT_EQ(os::hint_no_huge(a.base(), 4_MiB).error().code, errc::unsupported);
    EXPECT_EQ(seen.calls(os_call::huge_page_hint), 0u);
}

TEST(huge_pages, the_user_has_the_last_word) {
    EXPECT_EQ(rerun_with("hugepages=off", "huge_pages.DISABLED_nobody_gets_them"), 0);
    EXPECT_EQ(rerun_with("hugepages=on", "huge_pages.DISABLED_nobody_can_refuse_them"), 0);
}

TEST(decommit, DISABLED_is_lazy) {
    EXPECT_FALSE(os::decommit_clears());
    os::area a = open_ready(4_MiB, 4_MiB);
    (void)os::hint_no_huge(a.base(), 4_MiB);
    std::memset(a.base(), 0x77, (4_MiB).count());
    os::decommit(a.base(), 4_MiB, false).value();
    // Taken back for good, the contents go whatever was still resident: O4.
    a.unprepare({}, 4_MiB, {}).value();
    a.prepare({}, 4_MiB).value();
    EXPECT_EQ(a.base()[0], std::byte{0});
    EXPECT_EQ(a.base()[(3_MiB).count()], std::byte{0});
}

TEST(decommit, is_lazy_when_the_user_says_so) {
    EXPECT_EQ(rerun_with("madvfree=1", "decommit.DISABLED_is_lazy"), 0);
}

}  // namespace
