// page_check.cpp - recomputes what a page heap keeps from the bits alone, for
// tests, for audits and for builds with STEADY_CHECK=3. Invariants G1, G2, G3
// and G5 of page_heap.hpp; G4 concerns os and is compared by those who know all
// of its users.
#include <steady/heap/detail/page_heap.hpp>

#include <bit>

namespace steady::detail {

namespace {

bool differs(message* why, const char* what, std::uint64_t kept, std::uint64_t bits) noexcept {
    if (why != nullptr) {
        why->text("broken invariant ").text(what).text(": kept ").number(kept);
        why->text(", but the bits say ").number(bits).text(".");
    }
    return false;
}

bool differs_in(message* why, const char* what, unsigned level, std::size_t entry) noexcept {
    if (why != nullptr) {
        why->text("broken invariant ").text(what).text(" (level ").number(level);
        why->text(", entry ").number(entry).text(").");
    }
    return false;
}

}  // namespace

bool page_heap::check(message* why) const noexcept {
    if (high_water_ == 0) return grown_ == 0;  // the tables cannot be read yet
    return check_counters(why) && check_summaries(why) && check_hints(why) && check_marks(why);
}

bool page_heap::check_counters(message* why) const noexcept {
    std::size_t grown = 0, taken = 0, dirty = 0;
    for (unsigned c = 0; c < chunk_of(high_water_); ++c) {
        const chunk_bits& bits = tables_.chunk(c);
        for (unsigned w = 0; w < chunk_words; ++w) {
            const std::uint64_t free = bits.free.word[w], resident = bits.resident.word[w];
            grown += static_cast<unsigned>(std::popcount(free | resident));
            taken += static_cast<unsigned>(std::popcount(~free & resident));
            dirty += static_cast<unsigned>(std::popcount(free & resident));
        }
    }
    if (grown != grown_) return differs(why, "G1 grown pages", grown_, grown);
    if (taken != in_use_ + in_flight_) {
        return differs(why, "G1 pages in use or in flight", in_use_ + in_flight_, taken);
    }
    if (dirty + in_flight_ != dirty_)
        return differs(why, "G1 dirty pages", dirty_, dirty + in_flight_);
    return true;
}

bool page_heap::check_summaries(message* why) const noexcept {
    std::size_t entries = (chunk_of(high_water_) + summary_fanout - 1) / summary_fanout;
    for (std::size_t c = 0; c < entries * summary_fanout; ++c) {
        if (c == open_) continue;
        if (tables_.summary(leaf_level, c) != page_summary::of(tables_.chunk(c).free)) {
            return differs_in(why, "G2 a leaf is the summary of its bits", leaf_level, c);
        }
    }
    for (unsigned level = leaf_level; level-- > 0;) {
        for (std::size_t i = 0; i < entries; ++i) {
            const page_summary right = fold(tables_.siblings(level + 1, i), level_shift(level + 1));
            if (tables_.summary(level, i) != right) {
                return differs_in(why, "G2 a summary is the fold of the eight below", level, i);
            }
        }
        entries = (entries + summary_fanout - 1) / summary_fanout;
    }
    return true;
}

bool page_heap::check_hints(message* why) const noexcept {
    for (unsigned i = 1; i < hinted_runs; ++i) {
        if (hint_[i] < hint_[i - 1]) return differs(why, "G3 hints rise", hint_[i], hint_[i - 1]);
    }
    page_index start = 0;  // of the free run that reaches up to `page`
    for (page_index page = 0; page < high_water_; ++page) {
        if (page % word_pages == 0 &&
            tables_.chunk(chunk_of(page)).free.word[page % chunk_pages / word_pages] == 0) {
            start = page + word_pages;
            page += word_pages - 1;
            continue;
        }
        if (!tables_.chunk(chunk_of(page)).free.test(page % chunk_pages)) {
            start = page + 1;
            continue;
        }
        const unsigned length = page + 1 - start;
        if (length > hinted_runs || hint_[length - 1] <= chunk_of(start)) continue;
        return differs(why, "G3 no long enough run starts below its hint", hint_[length - 1],
                       chunk_of(start));
    }
    return true;
}

bool page_heap::check_marks(message* why) const noexcept {
    const unsigned chunks = chunk_of(high_water_);
    if (!marks_.check(tables_, (chunks + group_chunks - 1) / group_chunks)) {
        return differs_in(why, "M1 a mark is seen from above exactly when it is there", 0, 0);
    }
    for (unsigned c = 0; c < chunks; ++c) {
        const chunk_bits& bits = tables_.chunk(c);
        for (unsigned at = 0; at < chunk_pages; at += unit_pages) {
            bool dirty = false;
            page_bits::for_each_word(at, unit_pages, [&](unsigned w, std::uint64_t) {
                dirty |= (bits.free.word[w] & bits.resident.word[w]) != 0;
            });
            if (!dirty) continue;
            if (!marks_.test(tables_, mark::loose, c) && !marks_.test(tables_, mark::scrap, c)) {
                return differs_in(why, "G5 a chunk with dirty pages is marked", leaf_level, c);
            }
            if (bits.free.all(at, unit_pages) && !marks_.test(tables_, mark::whole, c)) {
                return differs_in(why, "G5 a free unit with dirty pages is marked", leaf_level, c);
            }
        }
    }
    return true;
}

}  // namespace steady::detail
