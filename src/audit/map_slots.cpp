// map_slots.cpp - steady::map's outlook for slots known by their size at run time.
#include <type_traits>

#include "steady/audit/detail/plan_map.hpp"

namespace steady::audit::detail {

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
    // What does not depend on the slot, of some table.
    using table =
        std::remove_reference_t<decltype(map<std::uint64_t, std::uint64_t>().raw_table())>;
    steady::detail::table_facts facts = table::facts();
    facts.regions.of = {slot.slot, slot.alignment};
    facts.payload = slot.payload;
    facts.node = slot.node;
    facts.node_alignment = slot.node_alignment;
    facts.keeps_hash = slot.keeps_hash;
    return steady::detail::outlook_of(facts, entries, reserved);
}

}  // namespace steady::audit::detail
