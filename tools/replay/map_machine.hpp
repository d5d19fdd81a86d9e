// map_machine.hpp - the map of a script: the operations, the walks in its slots, the
// trace hash and the growth events. The grammar is map.cpp's affair, the printing of
// buckets map_dump.cpp's.
//
// The runtime's random source is the machine's: `rand` sets it, and every operation
// draws from it in the order in which Go draws.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "replay/map_types.hpp"
#include "steady/go/detail/core.hpp"

namespace steady::cli::replay {

using map_core = go::internal::map_core<go::internal::dynamic_layout>;

class machine {
public:
    static constexpr unsigned slots = 8;

    machine() = default;
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;
    ~machine() { drop_map(); }

    script_type type;
    wyrand draws{0};
    bool events = false;
    std::string out;

    /// Starts over with other types; there is no map until make().
    void begin_type(const script_type& next, bool fast_strings);
    void make();
    void make(std::uint64_t hint);
    [[nodiscard]] bool has_map() const noexcept { return core_.h != nullptr; }

    // ---- operations; keys and elems are canonical bytes. Each is traced.
    void set(std::string_view key, std::string_view elem);
    void erase(std::string_view key);
    bool get(std::string_view key, std::string_view& elem);
    void clear();

    /// What a walk did.
    struct walked {
        std::uint64_t entries = 0;
        std::uint64_t fnv = fnv_basis;
        std::size_t start = 0;
        unsigned offset = 0;
    };
    /// A full walk. Appends the keys to `keys` unless it is null.
    walked iterate(std::string* keys);
    void open(unsigned slot);
    [[nodiscard]] bool live(unsigned slot) const noexcept { return slots_[slot].live; }
    [[nodiscard]] const go::internal::hiter& walk(unsigned slot) const noexcept {
        return slots_[slot].it;
    }
    walked next(unsigned slot, std::uint64_t steps);

    // ---- printing
    [[nodiscard]] std::string header(bool raw) const;
    [[nodiscard]] std::string dump(bool raw, std::uint64_t* hash) const;
    [[nodiscard]] std::uint64_t dump_hash() const;
    /// Returns false, with the problem in `out`, when an entry is where no search finds it.
    bool stats();
    [[nodiscard]] std::uint64_t trace() const noexcept { return trace_.value(); }
    [[nodiscard]] std::uint64_t ops() const noexcept { return ops_; }

private:
    struct slot {
        bool open = false;
        bool live = false;
        go::internal::hiter it;
        std::string key, elem;  // as read when the walk came here
    };
    /// The state before an operation, for events.
    struct before {
        const void* buckets;
        const void* old;
        unsigned B;
    };

    void drop_map() noexcept;
    void drop_walks() noexcept;
    void enter_walk();
    void read_position(slot& s);
    [[nodiscard]] before look() const noexcept;
    void finish(const before& was);
    void* key_cell(std::string_view canonical);
    void append_cell_text(std::string& to, const value_type& t, bool indirect,
                          const void* at) const;
    void append_bucket(std::string& to, char array, std::size_t index, std::size_t position,
                       go::internal::bmap* b, go::internal::bmap* first, unsigned B,
                       bool raw) const;
    void append_array(std::string& to, char array, go::internal::bmap* first, unsigned B,
                      bool raw) const;

    map_core core_;
    string_store strings_;
    std::array<slot, slots> slots_{};
    fnv trace_;
    std::uint64_t ops_ = 0;
    std::uint64_t grows_ = 0, same_ = 0;
    std::string scratch_;  // a key in its stored form
};

void append_hex(std::string& to, std::string_view bytes);

}  // namespace steady::cli::replay
