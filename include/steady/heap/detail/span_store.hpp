// span_store.hpp - makes spans out of pages: one page heap a NUMA node, the
// records of the spans, and the address map's entries.
//
//   heap area (nominally 1 TiB)
//   | slice of node 0                 | slice of node 1                 | ...
//   | span | span | free | span | ... | span | free | ...
//
// Everything that changes which pages belong to whom happens here, under the
// node's lock, so the address map, the page bitmaps and the span counts change
// together.
//
// Invariants
//   P1  For each node, pages in use are exactly the pages of its spans.
//   P2  page_heap's ledgers add up to the os ledger `ready` together with the
//       huge blocks, the metadata and the tables (audited by check()).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/result.hpp"
#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/object_counts.hpp"
#include "steady/heap/detail/page_heap.hpp"
#include "steady/heap/detail/span.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/metadata.hpp"
#include "steady/os/numa.hpp"

namespace steady::detail {

/// Counters and extras come in the sizes of the span records.
template <unsigned Objects>
struct counts_for {
    object_counts head;
    share_counter shares[Objects];
};
template <unsigned Objects>
struct extras_for {
    object_extra each[Objects];
};
template <unsigned Objects>
struct count_pools {
    os::fixed_pool<counts_for<Objects>> counts;
    os::fixed_pool<extras_for<Objects>> extras;
};

/// The pages of one NUMA node.
struct alignas(64) node_pages {
    ranked_mutex<lock_rank::pages> lock;
    std::uint32_t first_page{0};  // of the slice, in the address map
    std::size_t covered{0};       // pages of the slice whose table entries are in use
    bytes map_tables{};           // and how large those are
    page_heap pages;
    os::fixed_pool<span_1> spans_1;
    os::fixed_pool<span_8> spans_8;
    os::fixed_pool<span_18> spans_18;
    count_pools<1> counts_1;
    count_pools<64> counts_64;
    count_pools<512> counts_512;
    count_pools<1024> counts_1024;
    // Spans of sampled objects that were freed, for the next samples: free, and in use for P1.
    span* kept_samples[4]{};
    unsigned kept_sample_count{0};
    std::uint64_t span_count{0};
    std::size_t peak_in_use{0};        // pages, since the scavenger last looked
    std::atomic<std::size_t> idle{0};  // free resident pages, for those who only want to know
    // Of units that become huge pages (next_to_collapse): filled last, and looked at below it.
    page_index filled{no_page}, swept{0};
    std::uint64_t large_allocated{0}, large_freed{0};              // objects of the default heap
    std::uint64_t large_bytes_allocated{0}, large_bytes_freed{0};  // page-rounded
};

struct span_request {
    span_class sclass{0};
    span_kind kind{span_kind::small};
    std::uint32_t page_count{1};
    std::uint32_t alignment_pages{1};
    std::uint32_t followers{0};  // more of them, side by side, if there is room: small ones only
    std::size_t object_size{0};
    heap_core* owner{nullptr};
};

class span_store {
public:
    constexpr span_store() noexcept = default;

    /// Reserves the heap area and its tables. Under `init`; after a failure a later call
    /// goes on where it stopped.
    result<void> open() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return node_count_ != 0; }
    [[nodiscard]] unsigned node_count() const noexcept { return node_count_; }
    [[nodiscard]] node_pages& node(unsigned n) noexcept { return nodes_[n]; }
    /// The one the calling thread should take pages from.
    [[nodiscard]] unsigned current_node() const noexcept {
        return node_count_ == 1 ? 0 : os::current_node();
    }

    /// Makes a span. Its objects are all free (small) or all taken (the others). Those that
    /// follow it hang from its list.next.
    /// Cost: a page search, one table entry a page. Threads: any; takes `pages`.
    [[nodiscard]] result<span*> make(unsigned node, const span_request& request) noexcept;

    /// Gives a span back; no object of it may be in use.
    void destroy(span* s) noexcept;

    /// The same for the span of one sampled object. Many come and go: a few of one page are
    /// kept, so that the next sample need not look for pages. `guarded` has one page more.
    [[nodiscard]] result<span*> make_sampled(unsigned node, span_class sclass, span_kind kind,
                                             heap_core& owner) noexcept;
    void destroy_sampled(span* s) noexcept;
    /// Gives the kept ones back.
    void release_kept_samples() noexcept;

    /// Grows a large span to `page_count` pages where it stands.
    /// `zeroed` tells whether the new pages read as zero. False if neighbours are taken.
    [[nodiscard]] bool extend(span* s, std::uint32_t page_count, bool& zeroed) noexcept;
    /// Gives back the pages of a large span beyond `page_count`.
    void shrink(span* s, std::uint32_t page_count) noexcept;

    /// Bytes of the address map's tables in use. Under the nodes' locks.
    [[nodiscard]] bytes map_tables() const noexcept;
    /// Pages free but resident, over all nodes. Threads: any; a moment's value.
    [[nodiscard]] std::size_t free_resident_pages() noexcept;
    [[nodiscard]] std::size_t in_use_pages() noexcept;
    /// Most pages in use since the last call. Threads: the scavenger.
    [[nodiscard]] std::size_t take_peak_pages() noexcept;
    /// Whether `count` more pages of `node` would have to come from the OS.
    [[nodiscard]] bool needs_fresh_pages(unsigned node, std::size_t count) const noexcept {
        return nodes_[node].idle.load(std::memory_order_relaxed) < count;
    }

    void lock_all() noexcept;
    void unlock_all() noexcept;

private:
    [[nodiscard]] result<span*> make_locked(node_pages& n, unsigned node,
                                            const span_request& request) noexcept;
    span* make_followers(node_pages& n, span* s, const span_request& request) noexcept;
    [[nodiscard]] span* make_on(node_pages& n, unsigned node, const span_request& request,
                                page_index first, bool zeroed) noexcept;
    [[nodiscard]] page_index next_to_collapse(node_pages& n, page_index page) const noexcept;
    [[nodiscard]] bool holds_small_objects(const node_pages& n, page_index unit) const noexcept;
    static void collapse_unit(node_pages& n, page_index unit) noexcept;
    result<void> cover_tables(unsigned node) noexcept;
    static void note_levels(node_pages& n) noexcept;
    bool destroy_locked(node_pages& n, span* s) noexcept;
    span* new_record(node_pages& n, unsigned words) noexcept;
    void delete_record(node_pages& n, span* s) noexcept;
    [[nodiscard]] page_index first_page(const span& s) const noexcept;
    void set_entries(const span* s, std::uint32_t from, std::uint32_t to, span* value,
                     std::uint8_t cls) noexcept;

    os::area memory_;
    os::area tables_;   // page bitmaps and summaries of every node
    os::area classes_;  // class_of_page
    os::area spans_;    // span_of_page
    unsigned node_count_ = 0;
    std::uint32_t pages_per_node_ = 0;
    node_pages nodes_[os::node_limit];
};

/// What span records, thread caches, central lists and depots, and the counters of
/// shared objects cost: each has its ledger.
struct heap_ledgers {
    ledger spans{"heap.spans"};
    ledger caches{"heap.caches"};
    ledger centrals{"heap.centrals"};
    ledger counts{"heap.counts"};
};
extern heap_ledgers metadata_ledgers;

extern span_store store;

/// Takes counters and extras back from an object range that goes away (OC2). Lock of
/// the node held.
void put_counts(node_pages& n, object_counts* counts) noexcept;

}  // namespace steady::detail
