// memory.hpp - address space and its four states. Every byte os has mapped is in
// exactly one of them, and each function below is one arrow.
//
//                open              prepare              use
//        None ----------> Reserved ---------> Prepared ---------> Ready
//          ^                |  ^                 |  ^               |
//          +---- close -----+  +---- unprepare --+--|-- unprepare --+
//                                                   +-- decommit ---+
//          None ----------------- map_plain ----------------------> Ready
//          None <---------------- unmap_plain --------------------- Ready
//
//   None       not ours: others may map there.
//   Reserved   ours, but any access faults (PROT_NONE). Costs nothing: no memory, no
//              page tables, no promise, so an area of a terabyte is as cheap as a page.
//   Prepared   readable and writable, promised by the kernel (with
//              vm.overcommit_memory=2 this is where it is charged), but nobody uses it
//              and no page is resident.
//   Ready      in use: a page becomes resident when it is first touched.
//
// Terms   area: one contiguous range of addresses whose parts are prepared piece by piece.
//         reserved up front: the whole area was None -> Reserved in open().
//         nominal: only an address. Under RLIMIT_AS a reservation would eat the
//         program's own allowance, so pieces go None -> Prepared directly, where nobody
//         else has mapped anything (Go's arena hints). The drawing holds with
//         Reserved = None.
//
// Invariants (tests/os/transitions_test.cpp compares them with /proc/self/maps)
//   O1  reserved + prepared + ready = the bytes os has mapped, exactly: each ledger
//       changes inside the transition, after the kernel agreed, and nowhere else.
//   O2  A transition that returns an error changed no state and no ledger. (The
//       contents may be lost when it was to drop them.)
//   O3  No system call walks more than `step` = 2 MiB of resident pages: dropping and
//       moving go in steps cut at 2 MiB boundaries, which never split a huge page.
//       Unmapping follows after the contents are gone, in one call that walks nothing.
//   O4  Memory that becomes Prepared reads as zero. (Exception: STEADY_DEBUG=madvfree=1,
//       see decommit_clears().)
//
// Why the caller says how much of a range was Ready: it knows (Go's scavenged bits), and
// a second bookkeeping here would cost memory to repeat what the heap has at hand.
//
// Cost    a system call is 0.2 us and more; dropping contents 223 ns per resident 4 KiB
//         page, but 5 us per huge page of 2 MiB; first touch 1.5 us per page.
// Source  Go, runtime/mem.go: the states; their names and meaning are the same.

#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/ledger.hpp"
#include "steady/core/result.hpp"
#include "steady/core/units.hpp"

namespace steady::os {

struct memory_ledgers {
    ledger reserved{"os.reserved"};
    ledger prepared{"os.prepared"};
    ledger ready{"os.ready"};
    ledger plain{"os.plain"};  // the part of `ready` that map_plain made

    /// Everything os has mapped (O1).
    [[nodiscard]] bytes mapped() const noexcept {
        return reserved.value() + prepared.value() + ready.value();
    }
};

/// Bytes in each state, of the whole process.
memory_ledgers& ledgers() noexcept;

/// Which limit an out_of_memory stands for: address_space_limit, map_count_limit, or
/// really memory. Every other error comes back as it is.
///
/// wanted     address space the refused call would have added.
/// Cost       reads a few files of /proc: 20 us, and tens of milliseconds when the process
///            has 65,000 mappings. For who tells the error or acts on it, without a lock.
[[gnu::cold]] error explain(const error& refused, bytes wanted) noexcept;

/// The most that one system call may walk (O3); also the size of a huge page here.
inline constexpr bytes step = 2_MiB;

/// One contiguous range of addresses. Offsets and lengths are multiples of os_page().
///
/// A value: a copy names the same addresses, and only one of the copies may go on.
/// Threads    prepare and unprepare of ranges that do not overlap, any; open and close,
///            one.
class area {
public:
    constexpr area() noexcept = default;

    /// Opens `size` bytes at a multiple of `alignment`: reserves all of it, or makes it
    /// nominal when the process's address space is limited or the kernel refuses.
    ///
    /// hint       where it would be nice (0: anywhere). Taken when nobody is there.
    /// may_shrink halve the size until the kernel agrees, but not below `min`.
    /// name       shown in /proc/PID/maps where the kernel knows names; static text.
    /// Returns    the open area; its size() tells what it became.
    static result<area> open(bytes size, bytes alignment, std::uintptr_t hint, bool may_shrink,
                             bytes min, const char* name = "steady heap") noexcept;

    [[nodiscard]] std::byte* base() const noexcept { return reinterpret_cast<std::byte*>(base_); }
    [[nodiscard]] bytes size() const noexcept { return size_; }
    [[nodiscard]] bool is_open() const noexcept { return size_ != bytes{}; }
    [[nodiscard]] bool reserved_up_front() const noexcept { return mapping_size_ != bytes{}; }
    /// What is mapped for a reserved area: itself, and what alignment cost around it.
    [[nodiscard]] std::byte* mapping() const noexcept {
        return reinterpret_cast<std::byte*>(mapping_);
    }
    [[nodiscard]] bytes mapping_size() const noexcept { return mapping_size_; }

    /// Prepared and Ready bytes of this area.
    [[nodiscard]] bytes prepared() const noexcept;

    /// Reserved -> Prepared; in a nominal area None -> Prepared.
    ///
    /// Returns    errc::occupied when somebody else's mapping lies in a nominal range;
    ///            out_of_memory, and explain() tells which limit it was.
    /// Cost       one system call that touches nothing.
    result<void> prepare(bytes offset, bytes length) noexcept;

    /// Prepared or Ready -> Reserved; in a nominal area -> None. Drops the contents.
    ///
    /// ready      how much of the range was Ready; the rest was Prepared.
    /// Cost       223 ns per resident page, in steps (O3), plus one call.
    result<void> unprepare(bytes offset, bytes length, bytes ready) noexcept;

    /// Reserved -> None, the whole area. Everything must be unprepared.
    ///
    /// Returns    errc::invalid_argument while parts are prepared.
    /// Cost       one system call that walks nothing.
    result<void> close() noexcept;

private:
    [[nodiscard]] bool contains(bytes offset, bytes length) const noexcept;
    static result<area> reserve(bytes size, bytes alignment, std::uintptr_t hint,
                                const char* name) noexcept;
    static result<area> make_nominal(bytes size, bytes alignment, std::uintptr_t hint,
                                     const char* name) noexcept;
    result<void> prepare_reserved(std::byte* start, bytes length) noexcept;
    result<void> prepare_nominal(std::byte* start, bytes length) noexcept;

    std::uintptr_t base_ = 0;
    bytes size_;
    // What was really mapped: the area and what alignment cost before and behind it.
    // Kept instead of trimmed, because trimming can fail and address space is free.
    std::uintptr_t mapping_ = 0;
    bytes mapping_size_;
    std::size_t prepared_ = 0;  // through std::atomic_ref only
    const char* name_ = nullptr;
};

/// Prepared -> Ready. A matter of the ledgers: pages come by first touch.
void use(void* start, bytes length) noexcept;

/// Ready -> Prepared: the pages go back to the system, the addresses stay usable.
///
/// background not on a caller's path; only announced to the hook.
/// Returns    not an error in practice, except for memory locked by mlock on kernels
///            before 5.18.
/// Cost       per step of 2 MiB one call: 5 us for a huge page, up to 115 us for 512 pages.
result<void> decommit(void* start, bytes length, bool background) noexcept;

/// True when decommitted memory reads as zero afterwards: always, except with
/// STEADY_DEBUG=madvfree=1, where the kernel takes pages only when it needs them.
bool decommit_clears() noexcept;

/// Asks for huge pages in this range, or for none: VMA flags only, nothing is touched.
///
/// Returns    errc::unsupported, without a call, when the system has no transparent huge
///            pages or STEADY_DEBUG=hugepages=... decides otherwise (off: nobody gets
///            them; on: nobody can refuse them). Callers may ignore it: these are hints.
result<void> hint_huge(void* start, bytes length) noexcept;
result<void> hint_no_huge(void* start, bytes length) noexcept;

/// Makes one huge page of a Ready range of 2 MiB, at a multiple of 2 MiB, whose small pages are
/// nearly all resident; contents stay. Other threads may use them meanwhile: they wait.
///
/// Returns    whether it is one now. Otherwise nothing has changed, and the range refuses huge
///            pages: more than 4 of its 512 pages were not resident, memory for it could not be
///            had, the kernel is older than 6.1, or there are no huge pages for us.
/// Cost       a copy of 2 MiB in the kernel, some 200 us.
bool collapse(void* start) noexcept;

/// Gives a Ready range its pages now, in one call instead of one page fault each. A hint: without
/// memory, or before Linux 5.14, pages come by first touch as ever.
///
/// Cost       16 KiB at once: half of what four faults cost in a virtual machine (docs/numbers,
///            concurrent).
void populate(void* start, bytes length) noexcept;

/// Moves the pages of a Ready range to a Prepared one that does not overlap it; the
/// states change places, so the source is Prepared and reads as zero.
///
/// Returns    the bytes that were copied, because the kernel did not move them (before 5.7,
///            or at the limit of mappings): what was asked for the source, as huge pages,
///            has not come with them. So nothing can fail but errc::invalid_argument.
/// Cost       about 3 us per 2 MiB, whatever the contents.
///            One mapping more, for the moved range remembers where it came from.
result<bytes> move(void* from, void* to, bytes length) noexcept;

/// None -> Ready, for small blocks of records, and back.
result<std::byte*> map_plain(bytes size, const char* name = "steady tables") noexcept;
result<void> unmap_plain(void* start, bytes size) noexcept;

/// Transparent huge pages can be had: the system's setting is `always` or `madvise`, and
/// this process has not switched them off (prctl PR_SET_THP_DISABLE). Asked once.
bool huge_pages_available() noexcept;

/// The page of the operating system: 4 KiB on x86-64; 4, 16 or 64 KiB on AArch64.
#if defined(__x86_64__)
constexpr bytes os_page() noexcept {
    return 4_KiB;
}
#else
bytes os_page() noexcept;
#endif

}  // namespace steady::os
