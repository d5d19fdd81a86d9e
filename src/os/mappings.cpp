// mappings.cpp - see mappings.hpp.
#include "steady/os/mappings.hpp"

#include "steady/os/mutex.hpp"

namespace steady::os {

namespace {

constinit mutex list_lock;
// Guarded by list_lock; sorted, and no two touch.
constinit mapped_range ranges[most_mapped_ranges] = {};
constinit std::size_t count = 0;
constinit bytes unlisted;

void insert_at(std::size_t i, mapped_range r) noexcept {
    for (std::size_t k = count; k > i; --k) ranges[k] = ranges[k - 1];
    ranges[i] = r;
    ++count;
}
void remove_at(std::size_t i) noexcept {
    --count;
    for (std::size_t k = i; k < count; ++k) ranges[k] = ranges[k + 1];
}
/// The first range that ends behind `address`.
std::size_t first_behind(std::uintptr_t address) noexcept {
    std::size_t low = 0, high = count;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (ranges[middle].start + ranges[middle].size > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

}  // namespace

namespace detail {

void list_mapped(const void* start, bytes size) noexcept {
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    const lock_guard guard(list_lock);
    const std::size_t i = first_behind(from);
    const bool joins_left = i != 0 && ranges[i - 1].start + ranges[i - 1].size == from;
    const bool joins_right = i != count && ranges[i].start == from + size.count();
    if (joins_left) {
        ranges[i - 1].size += size.count();
        if (joins_right) {
            ranges[i - 1].size += ranges[i].size;
            remove_at(i);
        }
    } else if (joins_right) {
        ranges[i].start = from;
        ranges[i].size += size.count();
    } else if (count == most_mapped_ranges) {
        unlisted += size;
    } else {
        insert_at(i, {from, size.count()});
    }
}

void unlist_mapped(const void* start, bytes size) noexcept {
    const auto from = reinterpret_cast<std::uintptr_t>(start), to = from + size.count();
    const lock_guard guard(list_lock);
    const std::size_t i = first_behind(from);
    if (i == count || ranges[i].start > from) {  // it had found no place in the list
        if (unlisted >= size) unlisted -= size;
        return;
    }
    mapped_range& r = ranges[i];
    const std::uintptr_t end = r.start + r.size;
    if (r.start == from) {
        r.start = to;
        r.size = end - to;
        if (r.size == 0) remove_at(i);
        return;
    }
    r.size = from - r.start;
    if (end == to) return;
    if (count == most_mapped_ranges) {
        unlisted += bytes{end - to};
    } else {
        insert_at(i + 1, {to, end - to});
    }
}

}  // namespace detail

mapped_list read_mapped(mapped_range* out, std::size_t capacity) noexcept {
    const lock_guard guard(list_lock);
    mapped_list list{count < capacity ? count : capacity, unlisted};
    for (std::size_t i = 0; i < list.count; ++i) out[i] = ranges[i];
    for (std::size_t i = list.count; i < count; ++i) list.unlisted += bytes{ranges[i].size};
    return list;
}

void mappings_reset_after_fork() noexcept {
    list_lock.reset_after_fork();
}

}  // namespace steady::os
