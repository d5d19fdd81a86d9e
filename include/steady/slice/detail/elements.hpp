// elements.hpp - arrays of elements that must be constructed and destroyed one by one.
//
//   base                     built                       cap
//    | alive | alive | alive | not yet made ...           |
//      a.data       a.data + a.len
//              b.data        b.data + b.len               views of the same array
//
// Go zeroes an array up to its capacity. Elements with constructors are made when a
// length first reaches them: the object's extra remembers how many there are, so the
// last slice knows what to destroy.
//
// Invariants (tests/slice/managed_test.cpp)
//   EL1  Elements [base, base + built) are alive, the others are not.
//   EL2  No view ends behind base + built: append makes the element there, or assigns
//        it when another view has made it before; s[lo:hi] past the length makes up to hi.
//   EL3  An exception leaves every view's length, capacity and array as they were, and the
//        elements that the view in hand shows. Elements that were made and that no view
//        shows are alive and are destroyed with the array. Behind the length, others may
//        see what was assigned before an operation on several elements failed.
//
// Views of foreign memory have no extra: the elements behind their length, up to the
// capacity, are alive and belong to somebody else, who destroys them. So it is with a
// view of members of an array's elements: it keeps the array alive, but the record counts
// elements of another type.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "steady/slice/detail/array.hpp"
#include "steady/slice/errors.hpp"
#include "steady/slice/growth.hpp"
#include "steady/slice/traits.hpp"

namespace steady::detail {

/// Its address also names the element type in the record: one in the whole process, so
/// that a shared library may append to another one's array.
template <class T>
[[gnu::visibility("default")]] void destroy_built(void* base, std::size_t built) noexcept {
    std::destroy_n(static_cast<T*>(base), built);
}

/// The array around `p` and what it remembers; extra is null for foreign memory and in
/// an array whose elements are not T.
struct built_array {
    void* base = nullptr;
    object_extra* extra = nullptr;
};

template <class T>
[[nodiscard]] built_array find_built(const void* p) noexcept {
    const share_counter* count = share_count(p);
    if (count == nullptr || !is_shared(count->load(std::memory_order_relaxed))) return {};
    object_extra* extra = extra_of(p, false);
    if (extra == nullptr || extra->destroy != &destroy_built<T>) return {};
    return {find_object(p).base, extra};
}

/// A fresh array, freed again (with what was built in it) unless kept.
template <class T>
class fresh_array {
public:
    /// Throws  std::bad_alloc.
    explicit fresh_array(std::size_t bytes)
        : base_(static_cast<T*>(
              new_array(bytes, {sizeof(T), alignof(T), holds_no_pointers<T>}, bytes))) {
        extra_ = extra_of(base_, true);
        if (extra_ == nullptr) {
            release(base_);
            throw std::bad_alloc();
        }
        *extra_ = {0, &destroy_built<T>};
    }
    ~fresh_array() {
        if (base_ != nullptr) release(base_);
    }
    fresh_array(const fresh_array&) = delete;
    fresh_array& operator=(const fresh_array&) = delete;

    template <class... Args>
    void build(Args&&... args) {
        std::construct_at(base_ + extra_->built, std::forward<Args>(args)...);
        ++extra_->built;
    }
    /// `count` elements are there: their bytes were moved in.
    void adopt(std::size_t count) noexcept { extra_->built = count; }
    [[nodiscard]] T* base() const noexcept { return base_; }
    [[nodiscard]] T* keep() noexcept { return std::exchange(base_, nullptr); }

private:
    T* base_;
    object_extra* extra_ = nullptr;
};

/// Puts an element at `place`, one past a view of this array or at most that (EL2).
template <class T, class... Args>
void put_element(T* data, T* place, Args&&... args) {
    const built_array in = find_built<T>(data);
    if (in.extra != nullptr &&
        static_cast<std::size_t>(place - static_cast<T*>(in.base)) >= in.extra->built) {
        std::construct_at(place, std::forward<Args>(args)...);
        ++in.extra->built;
    } else {
        *place = T(std::forward<Args>(args)...);
    }
}

/// put_element() for `n` of them, which must not lie where they are put.
template <class T>
void put_elements(T* data, T* place, const T* from, std::size_t n) {
    const built_array in = find_built<T>(data);
    std::size_t alive = n;  // elements at `place` that are assigned to
    if (in.extra != nullptr) {
        const std::size_t left =
            in.extra->built - static_cast<std::size_t>(place - static_cast<T*>(in.base));
        alive = left < n ? left : n;
    }
    for (std::size_t i = 0; i < alive; ++i) place[i] = from[i];
    for (std::size_t i = alive; i < n; ++i) {
        std::construct_at(place + i, from[i]);
        ++in.extra->built;
    }
}

/// Makes the elements in front of `end` that do not exist yet.
/// Throws  what T() throws; bounds_error when T has no default constructor.
template <class T>
void build_up_to(T* data, T* end, std::ptrdiff_t hi) {
    const built_array in = find_built<T>(data);
    if (in.extra == nullptr) return;
    T* const base = static_cast<T*>(in.base);
    const auto wanted = static_cast<std::size_t>(end - base);
    if constexpr (std::is_default_constructible_v<T>) {
        for (; in.extra->built < wanted; ++in.extra->built)
            std::construct_at(base + in.extra->built);
    } else if (in.extra->built < wanted) {
        throw_bounds("slice bounds out of range [:", hi, "] with ",
                     hi - static_cast<std::ptrdiff_t>(wanted - in.extra->built),
                     " elements made: the type has no default constructor");
    }
}

/// grow_bytes() for elements with a life of their own: those of a view that is alone are
/// moved, by their bytes where T allows it; others are copied.
/// Throws  std::bad_alloc, what copying throws, sharing_error: EL3.
template <class T>
void grow_elements(raw_slice& s, const growth::room& room) {
    T* const from = reinterpret_cast<T*>(s.data);
    const auto count = static_cast<std::size_t>(s.len);
    const bool listened = growth_hook.armed();
    const auto start =
        listened ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const std::size_t before = static_cast<std::size_t>(s.cap) * sizeof(T);
    const bool alone = is_unique(s.data);
    const built_array old = alone ? find_built<T>(s.data) : built_array{};
    const bool relocates =
        is_trivially_relocatable<T> && old.base == s.data && old.extra != nullptr;
    if (relocates && before >= grows_in_place_from) {
        if (const grown_block grown = grow_without_copy(s.data, room.bytes);
            grown.base != nullptr) {
            move_count(s.data, grown.base);
            s.data = static_cast<std::byte*>(grown.base);
            s.cap = room.cap;
            if (listened) announce_growth(s.owner, 0, before, room.bytes, start);
            return;
        }
    }
    fresh_array<T> fresh(room.bytes);
    if (relocates && old.extra->built == count) {
        if (count != 0)
            std::memcpy(static_cast<void*>(fresh.base()), static_cast<const void*>(from),
                        count * sizeof(T));
        fresh.adopt(count);
        old.extra->built = 0;
    } else if (alone &&
               (std::is_nothrow_move_constructible_v<T> || !std::is_copy_constructible_v<T>)) {
        for (std::size_t i = 0; i < count; ++i) fresh.build(std::move(from[i]));
    } else if constexpr (std::is_copy_constructible_v<T>) {
        for (std::size_t i = 0; i < count; ++i) fresh.build(std::as_const(from[i]));
    } else if (count != 0) {
        throw_shared_move_only();
    }
    release(s.data, [before] { return before; });
    s.data = reinterpret_cast<std::byte*>(fresh.keep());
    s.cap = room.cap;
    if (listened) announce_growth(s.owner, count, before, room.bytes, start);
}

}  // namespace steady::detail
