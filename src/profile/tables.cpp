// tables.cpp - the tables of the profiler. The story is in tables.hpp.
#include "tables.hpp"

#include <bit>
#include <cstring>
#include <new>

#include "steady/os/metadata.hpp"

namespace steady::profile::detail {
namespace {

// T3. A site takes about half a KiB.
constexpr std::uint32_t most_sites = 1u << 19;
constexpr std::uint32_t most_label_sets = 4096;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) noexcept {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

std::uint64_t hash_text(std::uint64_t hash, const char* text) noexcept {
    for (; *text != '\0'; ++text) hash = mixed(hash, static_cast<unsigned char>(*text));
    return mixed(hash, 0x100);
}

std::size_t site_bytes(std::size_t depth) noexcept {
    // The frames, and behind them the link to the next site.
    return sizeof(site) - sizeof(std::uintptr_t) + depth * sizeof(std::uintptr_t) + sizeof(site*);
}

}  // namespace

std::uint64_t hash_of_stack(const std::uintptr_t* frames, std::size_t depth) noexcept {
    std::uint64_t hash = depth;
    for (std::size_t i = 0; i < depth; ++i) hash = mixed(hash, frames[i]);
    return hash;
}

site** tables::following(const site* s) noexcept {
    return reinterpret_cast<site**>(const_cast<std::uintptr_t*>(s->frames) + s->depth);
}

site* tables::find_or_add(const site_key& key) noexcept {
    if (heads_ == nullptr) {
        heads_ = static_cast<site**>(
            os::metadata_alloc(bytes{head_count * sizeof(site*)}, alignof(site*), ledger_));
        if (heads_ == nullptr) return nullptr;
    }
    const std::uint64_t group = static_cast<std::uint64_t>(key.what) |
                                static_cast<std::uint64_t>(key.of) << 8 |
                                std::uint64_t{key.size_class} << 16;
    std::uint64_t hash = mixed(key.stack_hash ^ group, key.size);
    hash = mixed(hash, reinterpret_cast<std::uintptr_t>(key.labels));
    hash = mixed(hash, reinterpret_cast<std::uintptr_t>(key.detail));

    site*& head = heads_[hash % head_count];
    for (site* s = head; s != nullptr; s = s->next) {
        if (s->hash == hash && s->what == key.what && s->of == key.of &&
            s->size_class == key.size_class && s->size == key.size && s->labels == key.labels &&
            s->detail == key.detail && s->depth == key.depth &&
            (key.depth == 0 ||
             std::memcmp(s->frames, key.frames, key.depth * sizeof key.frames[0]) == 0)) {
            return s;
        }
    }
    if (site_count_ == most_sites) return nullptr;
    void* memory = os::metadata_alloc(bytes{site_bytes(key.depth)}, alignof(site), ledger_);
    if (memory == nullptr) return nullptr;
    auto* s = static_cast<site*>(memory);
    s->hash = hash;
    ++site_count_;
    s->what = key.what;
    s->of = key.of;
    s->size_class = key.size_class;
    s->cut = key.cut ? 1 : 0;
    s->depth = static_cast<std::uint16_t>(key.depth);
    s->size = key.size;
    s->labels = key.labels;
    s->detail = key.detail;
    if (key.depth != 0) std::memcpy(s->frames, key.frames, key.depth * sizeof key.frames[0]);
    s->next = head;
    head = s;
    if (last_ != nullptr)
        *following(last_) = s;
    else
        first_ = s;
    last_ = s;
    ++domain_sites_[static_cast<std::size_t>(key.what)];
    return s;
}

const label_set* tables::intern(const label_pair* pairs, std::size_t count) noexcept {
    std::uint64_t hash = count + 1;
    std::size_t text = 0;
    for (std::size_t i = 0; i < count; ++i) {
        hash = hash_text(hash_text(hash, pairs[i].key), pairs[i].text);
        text += std::strlen(pairs[i].key) + std::strlen(pairs[i].text) + 2;
    }
    for (const label_set* l = labels_; l != nullptr; l = l->next) {
        if (l->hash != hash || l->count != count) continue;
        bool same = true;
        for (std::size_t i = 0; i < count && same; ++i) {
            same = std::strcmp(l->pairs[i].key, pairs[i].key) == 0 &&
                   std::strcmp(l->pairs[i].text, pairs[i].text) == 0;
        }
        if (same) return l;
    }
    if (label_sets_ == most_label_sets) return nullptr;
    void* memory = os::metadata_alloc(bytes{sizeof(label_set) + count * sizeof(label_pair) + text},
                                      alignof(label_set), ledger_);
    if (memory == nullptr) return nullptr;
    auto* l = static_cast<label_set*>(memory);
    char* place = reinterpret_cast<char*>(l->pairs + count + 1);
    const auto copy = [&place](const char* from) noexcept {
        const std::size_t length = std::strlen(from) + 1;
        std::memcpy(place, from, length);
        const char* copied = place;
        place += length;
        return copied;
    };
    for (std::size_t i = 0; i < count; ++i) {
        l->pairs[i].key = copy(pairs[i].key);
        l->pairs[i].text = copy(pairs[i].text);
    }
    l->hash = hash;
    l->count = static_cast<std::uint32_t>(count);
    l->next = labels_;
    labels_ = l;
    ++label_sets_;
    return l;
}

// ---- Live samples: open tables with linear probing; a removal moves back what follows.

std::uint64_t tables::hash_of(std::uintptr_t address) noexcept {
    return (address >> 4) * 0x9e3779b97f4a7c15u;
}

live_sample* tables::slots_for(std::uint32_t capacity) noexcept {
    live_sample*& pool = unused_[static_cast<std::size_t>(std::countr_zero(capacity))];
    const bytes size{capacity * sizeof(live_sample)};
    if (pool == nullptr) {
        return static_cast<live_sample*>(os::metadata_alloc(size, alignof(live_sample), ledger_));
    }
    live_sample* slots = pool;
    std::memcpy(&pool, &slots->where, sizeof pool);  // the link, see grow()
    std::memset(static_cast<void*>(slots), 0, size.count());
    return slots;
}

bool tables::grow(shard& s) noexcept {
    const std::uint32_t wider = s.capacity == 0 ? 4 : s.capacity * 2;
    if (wider == 1u << (largest_pool - 1)) return false;
    live_sample* slots = slots_for(wider);
    if (slots == nullptr) return false;
    for (std::uint32_t i = 0; i < s.capacity; ++i) {
        if (s.slots[i].address == 0) continue;
        auto at = static_cast<std::uint32_t>(hash_of(s.slots[i].address) >> 8) & (wider - 1);
        while (slots[at].address != 0) at = (at + 1) & (wider - 1);
        slots[at] = s.slots[i];
    }
    if (s.capacity != 0) {
        live_sample*& pool = unused_[static_cast<std::size_t>(std::countr_zero(s.capacity))];
        std::memcpy(&s.slots->where, &pool, sizeof pool);
        pool = s.slots;
    }
    s.slots = slots;
    s.capacity = wider;
    return true;
}

bool tables::add_live(const live_sample& sample) noexcept {
    const std::uint64_t hash = hash_of(sample.address);
    shard& s = shard_of(hash);
    if ((s.used + 1) * 4 > s.capacity * 3 && !grow(s)) return false;
    auto at = static_cast<std::uint32_t>(hash >> 8) & (s.capacity - 1);
    while (s.slots[at].address != 0) {
        if (s.slots[at].address == sample.address) {  // its free was not seen
            s.slots[at] = sample;
            return true;
        }
        at = (at + 1) & (s.capacity - 1);
    }
    s.slots[at] = sample;
    ++s.used;
    ++live_count_;
    return true;
}

live_sample* tables::find_live(std::uintptr_t address) noexcept {
    const std::uint64_t hash = hash_of(address);
    shard& s = shard_of(hash);
    if (s.capacity == 0) return nullptr;
    auto at = static_cast<std::uint32_t>(hash >> 8) & (s.capacity - 1);
    while (s.slots[at].address != 0) {
        if (s.slots[at].address == address) return &s.slots[at];
        at = (at + 1) & (s.capacity - 1);
    }
    return nullptr;
}

live_sample tables::take_live(std::uintptr_t address) noexcept {
    live_sample* found = find_live(address);
    if (found == nullptr) return {};
    const live_sample taken = *found;
    shard& s = shard_of(hash_of(address));
    const std::uint32_t mask = s.capacity - 1;
    auto hole = static_cast<std::uint32_t>(found - s.slots);
    for (std::uint32_t at = (hole + 1) & mask; s.slots[at].address != 0; at = (at + 1) & mask) {
        const auto home = static_cast<std::uint32_t>(hash_of(s.slots[at].address) >> 8) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;  // would lie before its home
        s.slots[hole] = s.slots[at];
        hole = at;
    }
    s.slots[hole] = {};
    --s.used;
    --live_count_;
    return taken;
}

void tables::forget_live() noexcept {
    for (shard& s : shards_) {
        for (std::uint32_t i = 0; i < s.capacity; ++i) s.slots[i] = {};
        s.used = 0;
    }
    live_count_ = 0;
}

void tables::clear_values(domain what) noexcept {
    for (site* s = first_; s != nullptr; s = *following(s)) {
        if (s->what != what) continue;
        for (double& v : s->values) v = 0;
    }
}

}  // namespace steady::profile::detail
