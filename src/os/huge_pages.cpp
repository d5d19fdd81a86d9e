// huge_pages.cpp - what the system and the user say about huge pages. When to ask for them
// is the heap's decision; this file knows only whether asking is allowed.
#include "steady/os/memory.hpp"

#include <atomic>

#include "steady/core/check.hpp"
#include "steady/core/options.hpp"
#include "steady/os/detail/failure.hpp"
#include "steady/os/detail/lines.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/detail/syscall.hpp"

#include <linux/mman.h>
#include <linux/prctl.h>
#if !defined(__x86_64__)
#include <sys/auxv.h>
#endif

namespace steady::os {

using namespace detail;

namespace {

enum class answer : std::uint8_t { unknown, yes, no };
constinit std::atomic<answer> available{answer::unknown};

answer ask_the_system() noexcept {
    if (sys_prctl_query(PR_GET_THP_DISABLE) > 0) return answer::no;
    line_reader setting("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string_view line;
    if (!setting.next(line)) return answer::no;  // a kernel without them
    return line.find("[never]") == line.npos ? answer::yes : answer::no;
}

result<void> advise(void* start, bytes length, int advice, const char* action) noexcept {
    const long done = sys_madvise(start, length.count(), advice);
    announce(os_call::huge_page_hint, start, length.count(), 0);
    if (done < 0) return failure(done, action);
    return {};
}

using policy = debug_options::huge_page_policy;

}  // namespace

bool huge_pages_available() noexcept {
    answer known = available.load(std::memory_order_relaxed);
    if (known == answer::unknown) {
        known = ask_the_system();  // two threads may ask; they hear the same
        available.store(known, std::memory_order_relaxed);
    }
    return known == answer::yes;
}

result<void> hint_huge(void* start, bytes length) noexcept {
    constexpr const char* action = "madvise to ask for huge pages";
    if (options().hugepages == policy::off || !huge_pages_available()) {
        return error{errc::unsupported, 0, action};
    }
    return advise(start, length, MADV_HUGEPAGE, action);
}

result<void> hint_no_huge(void* start, bytes length) noexcept {
    constexpr const char* action = "madvise to refuse huge pages";
    if (options().hugepages == policy::on || !huge_pages_available()) {
        return error{errc::unsupported, 0, action};
    }
    return advise(start, length, MADV_NOHUGEPAGE, action);
}

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t small_pages = 512;
constexpr std::size_t most_absent = 4;
constexpr int advice_collapse = 25;  // MADV_COLLAPSE: newer than the headers of Debian 12's libc

bool nearly_all_resident(const std::byte* start) noexcept {
    unsigned char resident[128];  // in pieces: whoever calls malloc may have a small stack
    std::size_t absent = 0;
    for (std::size_t page = 0; page < small_pages; page += sizeof(resident)) {
        if (sys_mincore(start + page * 4096, sizeof(resident) * 4096, resident) < 0) return false;
        for (const unsigned char r : resident) absent += 1u - (r & 1u);
    }
    return absent <= most_absent;
}

}  // namespace

bool collapse(void* start) noexcept {
    STEADY_ASSERT(1, reinterpret_cast<std::uintptr_t>(start) % huge_page == 0,
                  "O1 collapse: the range is no place for a huge page");
    if (os_page() != bytes{4096}) return false;  // a huge page is not 2 MiB there
    if (!nearly_all_resident(static_cast<const std::byte*>(start))) return false;
    if (!hint_huge(start, bytes{huge_page})) return false;
    const long done = sys_madvise(start, huge_page, advice_collapse);
    announce(os_call::huge_page_hint, start, huge_page, huge_page);
    if (done >= 0) return true;
    static_cast<void>(hint_no_huge(start, bytes{huge_page}));
    return false;
}

#if !defined(__x86_64__)
bytes os_page() noexcept {
    // getauxval reads what the kernel put above the stack: no lock, no allocation.
    static constinit std::atomic<std::size_t> known{0};
    std::size_t page = known.load(std::memory_order_relaxed);
    if (page == 0) {
        page = getauxval(AT_PAGESZ);
        known.store(page, std::memory_order_relaxed);
    }
    return bytes{page};
}
#endif

}  // namespace steady::os
