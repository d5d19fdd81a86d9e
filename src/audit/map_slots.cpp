// map_slots.cpp - steady::map's outlook for slots known by their size at run time: a table
// of real tables, one for each size. What a slot holds does not matter to its table's
// geometry; its alignment does above 16 only, and there sizes are few.
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "steady/audit/detail/plan_map.hpp"

namespace steady::audit::detail {
namespace {

constexpr std::size_t largest_slot = 272;

struct no_key {};

template <std::size_t Size, std::size_t Alignment>
struct alignas(Alignment) raw_slot {
    using element = steady::detail::set_element<no_key>;
    using value_type = no_key;
    using movable_type = no_key;
    static constexpr bool is_node = false;
    static constexpr bool caches_hash = false;
    std::byte bytes[Size];
};

struct no_hash {
    std::uint64_t operator()(const no_key&) const noexcept { return 0; }
};
struct no_equal {
    bool operator()(const no_key&, const no_key&) const noexcept { return true; }
};

using ask = map_outlook (*)(std::uint64_t, std::uint64_t) noexcept;

template <std::size_t Size, std::size_t Alignment>
constexpr ask ask_for = steady::detail::table<raw_slot<Size, Alignment>, no_hash, no_equal,
                                              std::allocator<no_key>>::outlook;

template <std::size_t Alignment, std::size_t... I>
constexpr std::array<ask, sizeof...(I)> asks(std::index_sequence<I...>) {
    return {ask_for<(I + 1) * (Alignment > 16 ? Alignment : 1), Alignment>...};
}

template <std::size_t Alignment>
constexpr auto table_of =
    asks<Alignment>(std::make_index_sequence<largest_slot / (Alignment > 16 ? Alignment : 1)>{});

ask find(std::size_t size, std::size_t alignment) noexcept {
    switch (alignment) {
        case 32: return table_of<32>[size / 32 - 1];
        case 64: return table_of<64>[size / 64 - 1];
        case 128: return table_of<128>[size / 128 - 1];
        case 256: return table_of<256>[size / 256 - 1];
        default: return table_of<1>[size - 1];
    }
}

}  // namespace

slot_numbers slot_of(std::size_t key, std::size_t key_alignment, std::size_t value,
                     std::size_t value_alignment, bool cheap_to_hash) noexcept {
    const std::size_t alignment =
        value == 0 || key_alignment > value_alignment ? key_alignment : value_alignment;
    const std::size_t entry =
        value == 0 ? key : round_up(round_up(key, value_alignment) + value, alignment);
    slot_numbers s;
    s.payload = key + value;
    if (entry > map_options::largest_inline_entry) {
        s.slot = 16;  // its hash, and a pointer
        s.node = entry;
        s.node_alignment = alignment;
        s.keeps_hash = true;
        return s;
    }
    s.keeps_hash = !cheap_to_hash;
    s.alignment = s.keeps_hash && alignment < 8 ? 8 : alignment;
    s.slot = s.keeps_hash ? round_up(round_up(8, alignment) + entry, s.alignment) : entry;
    return s;
}

map_outlook outlook_of(const slot_numbers& slot, std::uint64_t entries,
                       std::uint64_t reserved) noexcept {
    map_outlook o = find(slot.slot, slot.alignment)(entries, reserved);
    // The table took its slots for whole entries; now they are told apart.
    const bytes kept{slot.keeps_hash ? entries * sizeof(std::uint64_t) : 0};
    memory_parts& m = o.memory;
    if (slot.node != 0) {
        o.add({slot.node, slot.node_alignment, entries});
        m.nodes = bytes{entries * slot.node};
        m.links += bytes{entries * sizeof(void*)};
    }
    m.metadata += kept;
    m.payload = bytes{entries * slot.payload};
    m.padding = m.total() - m.header - m.payload - m.vacant - m.metadata - m.links;
    return o;
}

}  // namespace steady::audit::detail
