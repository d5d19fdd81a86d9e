// bodies.hpp - the longer functions of slice.hpp, which includes this file at its end.
#pragma once

#include <functional>

#include "steady/slice/slice.hpp"

namespace steady {

// ---- making

template <class T, growth::policy Growth>
slice<T, Growth> slice<T, Growth>::with_room(std::ptrdiff_t cap, std::ptrdiff_t zero_from) {
    const std::size_t bytes = static_cast<std::size_t>(cap) * stride();
    if (bytes == 0) return slice(no_memory(), 0, cap);
    T* data = nullptr;
    if constexpr (plain()) {
        const auto zero_bytes_from = static_cast<std::size_t>(zero_from) * stride();
        void* memory = bytes < detail::tiny_size && layout().no_pointers
                           ? detail::new_tiny_array(bytes)
                           : detail::new_array(bytes, layout(), zero_bytes_from);
        data = static_cast<T*>(memory);
        give_values(const_cast<element*>(data) + zero_from, const_cast<element*>(data) + cap);
    } else {
        data = detail::fresh_array<element>(bytes).keep();
    }
    return slice(data, 0, cap);
}

// Zero bytes are written already; types whose default value is another one get it here.
template <class T, growth::policy Growth>
void slice<T, Growth>::give_values([[maybe_unused]] element* from,
                                   [[maybe_unused]] element* to) noexcept {
    if constexpr (stride() != 0 && std::is_default_constructible_v<element>) {
        if (from != to && !detail::zeroed_memory_is_a_value<element>())
            std::uninitialized_value_construct(from, to);
    }
}

template <class T, growth::policy Growth>
slice<T, Growth>::slice(std::initializer_list<element> elements) {
    const auto n = static_cast<std::ptrdiff_t>(elements.size());
    slice fresh = with_room(n, n);
    if constexpr (plain()) {
        if (stride() != 0 && n != 0)
            std::memcpy(const_cast<element*>(fresh.data_), elements.begin(),
                        elements.size() * stride());
    } else {
        detail::put_elements(const_cast<element*>(fresh.data_), const_cast<element*>(fresh.data_),
                             elements.begin(), elements.size());
    }
    fresh.len_ = n;
    swap(fresh);
}

template <class T, growth::policy Growth>
slice<T, Growth> slice<T, Growth>::make(std::ptrdiff_t len, std::ptrdiff_t cap) {
    const auto fits = [](std::ptrdiff_t n) {
        std::size_t bytes = 0;
        return n >= 0 && !__builtin_mul_overflow(static_cast<std::size_t>(n), stride(), &bytes) &&
               bytes <= growth::max_alloc;
    };
    if (!fits(cap) || len < 0 || len > cap) {
        // As Go: make([]T, much) is about the length, though the capacity is implied.
        if (!fits(len)) detail::throw_size("makeslice: len out of range");
        detail::throw_size("makeslice: cap out of range");
    }
    slice fresh = with_room(cap, 0);
    if constexpr (!plain()) detail::build_up_to(fresh.data_, fresh.data_ + len, len);
    fresh.len_ = len;
    return fresh;
}

// ---- growing

template <class T, growth::policy Growth>
void slice<T, Growth>::grow_to(std::ptrdiff_t needed, std::ptrdiff_t carried,
                               std::ptrdiff_t filled) {
    const growth::room room = growth::capacity<Growth>(stride(), cap_, needed, alignof(element));
    if constexpr (stride() == 0) {
        data_ = no_memory();
        cap_ = room.cap;
    } else {
        detail::raw_slice raw{reinterpret_cast<std::byte*>(data_), carried, cap_, this};
        if constexpr (plain()) {
            detail::grow_bytes(raw, room.cap, room.bytes, filled, layout());
        } else {
            detail::grow_elements<element>(raw, room);
        }
        data_ = reinterpret_cast<T*>(raw.data);
        cap_ = raw.cap;
        if constexpr (plain()) give_values(data_ + filled, data_ + cap_);
    }
}

template <class T, growth::policy Growth>
slice<T, Growth>& slice<T, Growth>::grow(std::ptrdiff_t n) requires(!std::is_const_v<T>) {
    if (n < 0) detail::throw_size("cannot be negative");
    // Go appends to s[:cap]: what lies behind the length comes along.
    if (n > cap_ - len_) grow_to(plus(n), plain() ? cap_ : len_, cap_);
    return *this;
}

// ---- append

template <class T, growth::policy Growth>
template <class... Args>
T& slice<T, Growth>::emplace_back(Args&&... args) requires(!std::is_const_v<T>) {
    if constexpr (plain()) {
        if (len_ < cap_) [[likely]] {
            T* const place = at_place(len_);
            if constexpr (stride() != 0) std::construct_at(place, std::forward<Args>(args)...);
            ++len_;
            return *place;
        }
        element value(std::forward<Args>(args)...);  // the arguments may lie in the array
        grow_by(1);
        T* const place = at_place(len_);
        if constexpr (stride() != 0) std::construct_at(place, std::move(value));
        ++len_;
        return *place;
    } else {
        if (len_ < cap_) {
            detail::put_element(data_, data_ + len_, std::forward<Args>(args)...);
        } else {
            if constexpr (!std::is_copy_constructible_v<element>) {
                // Refused before the arguments are touched.
                if (len_ != 0 && !detail::is_unique(data_)) detail::throw_shared_move_only();
            }
            element value(std::forward<Args>(args)...);
            try {
                grow_by(1);
                detail::put_element(data_, data_ + len_, std::move(value));
            } catch (...) {
                give_back(value, std::forward<Args>(args)...);
                throw;
            }
        }
        return data_[len_++];
    }
}

template <class T, growth::policy Growth>
template <class... More>
    requires(!std::is_const_v<T> && sizeof...(More) > 0 &&
             (std::convertible_to<More, std::remove_const_t<T>> && ...))
slice<T, Growth>
&slice<T, Growth>::append(element first, More&&... more) {
    element all[]{std::move(first), static_cast<element>(std::forward<More>(more))...};
    constexpr std::ptrdiff_t n = 1 + sizeof...(More);
    if (plus(n) > cap_ || plus(n) < 0) grow_by(n);
    const std::ptrdiff_t before = len_;
    try {
        for (element& value : all) emplace_back(std::move(value));
    } catch (...) {
        len_ = before;
        throw;
    }
    return *this;
}

template <class T, growth::policy Growth>
slice<T, Growth>& slice<T, Growth>::append_elements(const element* from, std::ptrdiff_t n) {
    if (n == 0) return *this;
    const auto below = std::less<const element*>();
    const auto count = static_cast<std::size_t>(n);
    if (plus(n) > cap_ || plus(n) < 0) {
        // Growing must not free what is appended: this array, also outside of the view.
        const detail::share_counter* const array = detail::share_count(from);
        const bool own = array != nullptr && array == detail::share_count(data_);
        const slice keep = own ? *this : slice();
        grow_by(n);
        return append_elements(from, n);
    }
    if constexpr (plain()) {
        if constexpr (stride() != 0)
            std::memmove(static_cast<void*>(data_ + len_), from, count * stride());
    } else {
        T* const place = data_ + len_;
        if (below(from, place + n) && below(place, from + n)) {
            const slice copy = with_room(n, n);
            detail::put_elements(copy.data_, copy.data_, from, count);
            detail::put_elements(data_, place, static_cast<const element*>(copy.data_), count);
        } else {
            detail::put_elements(data_, place, from, count);
        }
    }
    len_ += n;
    return *this;
}

template <class T, growth::policy Growth>
template <std::ranges::input_range Range>
    requires(!std::is_const_v<T> &&
             std::constructible_from<std::remove_const_t<T>, std::ranges::range_reference_t<Range>>)
slice<T, Growth>
&slice<T, Growth>::append_range(Range&& range) {
    if constexpr (std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                  std::same_as<std::ranges::range_value_t<Range>, element>) {
        return append_elements(std::ranges::data(range),
                               static_cast<std::ptrdiff_t>(std::ranges::size(range)));
    } else {
        const std::ptrdiff_t before = len_;
        if constexpr (std::ranges::sized_range<Range>) {
            const auto n = static_cast<std::ptrdiff_t>(std::ranges::size(range));
            if (plus(n) > cap_ || plus(n) < 0) grow_by(n);
        }
        try {
            for (auto&& value : range) emplace_back(std::forward<decltype(value)>(value));
        } catch (...) {
            len_ = before;
            throw;
        }
        return *this;
    }
}

template <class T, growth::policy Growth>
slice<T, Growth>& slice<T, Growth>::extend(std::ptrdiff_t n) requires(!std::is_const_v<T>) {
    if (n < 0) detail::throw_size("makeslice: len out of range");
    const bool fresh = plus(n) > cap_ || plus(n) < 0;
    if (fresh) grow_to(plus(n), len_, len_);
    if constexpr (!plain()) {
        for (std::ptrdiff_t i = 0; i < n; ++i) detail::put_element(data_, data_ + len_ + i);
    } else if (!fresh && stride() != 0 && n != 0) {
        std::memset(static_cast<void*>(data_ + len_), 0, static_cast<std::size_t>(n) * stride());
        give_values(data_ + len_, data_ + len_ + n);
    }
    len_ += n;
    return *this;
}

// ---- slicing

template <class T, growth::policy Growth>
slice<T, Growth> slice<T, Growth>::cut(std::ptrdiff_t lo, std::ptrdiff_t hi) && {
    if (hi < 0 || hi > cap_ || lo < 0 || lo > hi) [[unlikely]]
        detail::throw_slice2(lo, hi, cap_, "capacity");
    settle(lo, hi, cap_);
    return std::move(*this);
}

template <class T, growth::policy Growth>
slice<T, Growth> slice<T, Growth>::cut(std::ptrdiff_t lo, std::ptrdiff_t hi,
                                       std::ptrdiff_t max) && {
    if (max < 0 || max > cap_ || hi < 0 || hi > max || lo < 0 || lo > hi) [[unlikely]]
        detail::throw_slice3(lo, hi, max, cap_, "capacity");
    settle(lo, hi, max);
    return std::move(*this);
}

// AR2: a view without capacity stays where it is, as in Go, whose compiler masks the
// offset with "capacity != 0": one past the end is somebody else's object.
template <class T, growth::policy Growth>
void slice<T, Growth>::settle(std::ptrdiff_t lo, std::ptrdiff_t hi, std::ptrdiff_t max) {
    if constexpr (!plain()) {
        if (hi > len_)
            detail::build_up_to(const_cast<element*>(data_), const_cast<element*>(data_) + hi, hi);
    }
    if (small_view_hook.armed()) [[unlikely]]
        detail::announce_small_view(small_view_event::what::made, data_,
                                    static_cast<std::size_t>(hi - lo) * sizeof(T), retained());
    if (max > lo) {
        T* const place = at_place(lo);
        detail::move_count(data_, place);
        data_ = place;
    }
    len_ = hi - lo;
    cap_ = max - lo;
}

template <class T, growth::policy Growth>
template <std::size_t N>
    requires(!detail::is_zero_sized<std::remove_const_t<T>>)
std::span<T, N> slice<T, Growth>::first()
const {
    if (size() < N) [[unlikely]] {
        detail::throw_bounds("cannot convert slice with length ", len_,
                             " to pointer to array with length ", static_cast<std::ptrdiff_t>(N));
    }
    return std::span<T, N>(data_, N);
}

}  // namespace steady
