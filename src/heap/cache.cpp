// cache.cpp - the slow paths of a thread's cache. The story is in cache.hpp.
#include "steady/heap/detail/cache.hpp"

#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/detail/span_store.hpp"

namespace steady::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

constexpr std::uint64_t no_sample = std::uint64_t{1} << 60;  // objects: until further notice

const slot_pointer nothing_ready = reinterpret_cast<slot_pointer>(~std::uintptr_t{0});

std::size_t distance(slot_pointer from, slot_pointer to) noexcept {
    return static_cast<std::size_t>(to - from);
}

// A magazine's slots grow with its use: doubling for small objects, one by one
// for those of 512 bytes and more, so that a class seen now and then does not
// hoard kilobytes.
std::uint32_t grown(std::uint32_t capacity, span_class sclass) noexcept {
    const std::uint32_t limit = magazine_limit(sclass);
    const std::uint32_t size = class_size[sclass >> 1];
    const std::uint32_t first = size <= 64 ? 8 : size <= 256 ? 4 : 1;
    const std::uint32_t next = capacity == 0 ? first
                               : size <= 256 ? capacity * 2
                                             : capacity + (size < 512 ? 2 : 1);
    return next < limit ? next : limit;
}

// Objects of more than 8 KiB go home at once: whoever writes one spends more than our
// slow path takes, and one of each class would be half a megabyte.
bool is_cached_when_freed(span_class sclass) noexcept {
    return class_size[sclass >> 1] <= 8192;
}

// Objects of more than 256 bytes take as many slow paths for one step as the magazine
// has slots: a class with 2,000 allocations in all then holds 18 of them, not 60, and
// one that is allocated from all the time has its full magazine after 90,000.
bool earns_growth(bin_state& st, span_class sclass) noexcept {
    if (class_size[sclass >> 1] <= 256 || ++st.slow_calls >= st.capacity) {
        st.slow_calls = 0;
        return true;
    }
    return false;
}

// A refill adds `capacity` objects to at most half as many that were ready; the push
// magazine has room for all of them, so that a thread which frees what it
// allocates only ever swaps.
std::uint32_t push_slots(std::uint32_t capacity) noexcept {
    const auto all = static_cast<std::uint32_t>(magazine::slot_count);
    return capacity + capacity / 2 < all ? capacity + capacity / 2 : all;
}

// How many freed objects are worth a swap. Too few, and a thread that allocates more than
// it frees comes back after every handful; too many, and one that replaces objects at
// random fetches a magazine it sends away soon. While the magazines grow, half: fewer
// would keep the stock in circulation as small as it was.
std::uint32_t worth_swapping(std::uint32_t capacity, span_class sclass) noexcept {
    return capacity < magazine_limit(sclass) ? (capacity + 1) / 2 : (capacity + 3) / 4;
}

// How many ready objects follow the freed ones when those fill their magazine first. With
// more, the freed ones leave the thread. Between the two a thread that allocates as much
// as it frees, in any order, walks some 2,000 steps before it meets a depot again.
std::uint32_t most_carried(std::uint32_t capacity) noexcept {
    return push_slots(capacity) * 3 / 4;
}

}  // namespace

// Makes [floor, top) the content of the pop magazine: ready up to the object
// that is the next sample, held from there on.
void thread_cache::expose(span_class sclass, slot_pointer floor, slot_pointer top) noexcept {
    const bin b = bins[sclass];
    bin_state& st = states_[sclass];
    st.held_floor = floor;
    slot_pointer ready_floor = floor;
    const std::size_t count = distance(floor, top);
    if (st.until_sample > count && st.drawn_in == sampler::epoch()) [[likely]] {
        st.until_sample -= count;
    } else {
        ready_floor = ready_down_to(sclass, floor, top);
    }
    b.pop.store(top, relaxed);
    b.pop_floor.store(ready_floor, relaxed);
}

// Where the next sample is: it is drawn if it has to be (sampler.hpp). configure() has emptied the cache,
// so that nothing is ready that was drawn before.
[[gnu::noinline]] slot_pointer thread_cache::ready_down_to(span_class sclass, slot_pointer floor,
                                                           slot_pointer top) noexcept {
    bin_state& st = states_[sclass];
    const std::size_t size = class_size[sclass >> 1];
    // acquire; pairs with the release in configure(): the periods are not older.
    const std::uint32_t epoch = sampling.epoch.load(std::memory_order_acquire);
    if (st.drawn_in != epoch) {
        st.drawn_in = epoch;
        st.until_sample = st.rest = 0;
    }
    if (st.until_sample == 0 && sampler::active()) {
        const auto drawn = sampler::draw(size, sampler::period_of(sclass >> 1), random_);
        st.until_sample = st.rest + drawn.place;
        st.rest = drawn.objects - drawn.place;
        st.probability = 1 / static_cast<double>(drawn.objects);
    } else if (st.until_sample == 0) {
        st.until_sample = no_sample;
    }
    const std::size_t count = distance(floor, top);
    if (st.until_sample > count) {
        st.until_sample -= count;
        return floor;
    }
    const slot_pointer ready_floor = top - (st.until_sample - 1);
    st.until_sample = 0;  // due when the ready ones are gone
    return ready_floor;
}

// The freed objects become the ready ones. What was still ready is first to follow them:
// it lies at the bottom of the new push magazine, and was neither allocated nor freed.
void thread_cache::swap_magazines(span_class sclass) noexcept {
    const bin b = bins[sclass];
    bin_state& st = states_[sclass];
    const slot_pointer floor = st.push_floor;
    const slot_pointer top = b.push.load(relaxed);
    const std::size_t count = distance(floor, top);
    const std::size_t ready = distance(st.held_floor, b.pop.load(relaxed));
    if (ready != 0) restore_draw(sclass);
    st.left += count - ready;
    st.entered += count - ready;

    magazine* next = st.pop_magazine != nullptr ? st.pop_magazine : get_empty_magazine();
    st.pop_magazine = st.push_magazine;
    st.push_magazine = next;
    const slot_pointer slots = next != nullptr ? next->slots : nullptr;
    if (slots != st.held_floor) {
        for (std::size_t i = 0; i < ready; ++i)
            slots[i].store(st.held_floor[i].load(relaxed), relaxed);
    }
    st.push_floor = slots;
    b.push.store(slots + ready, relaxed);
    b.push_end.store(next != nullptr ? slots + push_slots(st.capacity) : nullptr, relaxed);
    expose(sclass, floor, top);
}

void thread_cache::return_objects(span_class sclass, slot_pointer from, slot_pointer to) noexcept {
    if (from != to) core->put(sclass, from, distance(from, to));
}

void thread_cache::put_one(span_class sclass, void* object) noexcept {
    const slot one{object};
    core->put(sclass, &one, 1);
    ++states_[sclass].left;
}

void* thread_cache::sample(span_class sclass, std::size_t size) noexcept {
    void* object =
        sampler::allocate(*core, node, sclass, size, states_[sclass].probability, random_);
    if (object != nullptr) ++states_[sclass].sampled;
    return object;
}

// A magazine worth a trip: the thread's own freed objects if they are enough, else a full
// one from the depot, else new objects beside the few freed ones.
bool thread_cache::refill(span_class sclass) noexcept {
    bin_state& st = states_[sclass];
    if (earns_growth(st, sclass)) st.capacity = grown(st.capacity, sclass);
    const auto freed = [&] { return distance(st.push_floor, bins[sclass].push.load(relaxed)); };
    if (freed() >= worth_swapping(st.capacity, sclass)) {
        swap_magazines(sclass);
        return true;
    }
    if (use_depot && depots.has_any(node, sclass) && exchange_with_depot(sclass)) return true;
    if (fill_from_central(sclass)) return true;
    if (freed() == 0) return false;
    swap_magazines(sclass);
    return true;
}

bool thread_cache::exchange_with_depot(span_class sclass) noexcept {
    bin_state& st = states_[sclass];
    magazine* full = depots.take(node, sclass);
    if (full == nullptr) return false;
    if (st.pop_magazine != nullptr) put_empty_magazine(st.pop_magazine);
    st.pop_magazine = full;
    st.entered += full->count;
    st.capacity = magazine_limit(sclass);
    expose(sclass, full->slots, full->slots + full->count);
    return true;
}

bool thread_cache::fill_from_central(span_class sclass) noexcept {
    bin_state& st = states_[sclass];
    if (st.pop_magazine == nullptr && (st.pop_magazine = get_empty_magazine()) == nullptr)
        return false;
    const std::size_t freed = distance(st.push_floor, bins[sclass].push.load(relaxed));
    const std::size_t room = push_slots(st.capacity) - freed;
    const std::size_t wanted = st.capacity < room ? st.capacity : room;
    const slot_pointer top = st.pop_magazine->slots + wanted;
    // Fresh pages are the last resort: first what lies free in other classes.
    const bool fresh = use_depot && store.needs_fresh_pages(node, class_pages[sclass >> 1]);
    std::size_t got = core->take(node, sclass, top, wanted, !fresh);
    if (got == 0 && fresh) {
        depots.relieve(*core);
        return_large_objects();
        got = core->take(node, sclass, top, wanted);
    }
    st.entered += got;
    if (got != 0) expose(sclass, top - got, top);
    return got != 0;
}

void* thread_cache::allocate(span_class sclass, std::size_t size) noexcept {
    const os::lock_guard guard(lock);
    ++slow_calls;
    if (closed) reopen();
    const bin b = bins[sclass];
    bin_state& st = states_[sclass];
    for (;;) {
        const slot_pointer top = b.pop.load(relaxed);
        if (top > b.pop_floor.load(relaxed)) {
            b.pop.store(top - 1, relaxed);
            return top[-1].load(relaxed);
        }
        if (top != st.held_floor) {  // what is held starts with the sample
            void* object = sample(sclass, size);
            const bool sampled = object != nullptr;
            // Not wanted after all, or no pages for it: it is handed out as usual. Drawing
            // again for the same object would make it a sample in the end.
            if (!sampled) object = top[-1].load(relaxed);
            expose(sclass, st.held_floor, sampled ? top : top - 1);
            return object;
        }
        if (!refill(sclass)) {
            // No magazine, or nothing in the central: one object, straight.
            slot object{nullptr};
            if (st.pop_magazine == nullptr) st.entered += core->take(node, sclass, &object + 1, 1);
            return object.load(relaxed);
        }
    }
}

// The push magazine is full and the pop magazine almost so: the objects leave the thread.
void thread_cache::send_push_magazine(span_class sclass) noexcept {
    const bin b = bins[sclass];
    bin_state& st = states_[sclass];
    const slot_pointer floor = st.push_floor;
    const slot_pointer top = b.push.load(relaxed);
    const std::size_t count = distance(floor, top);
    st.left += count;
    magazine* full = st.push_magazine;
    // Several nodes: the objects may belong to any of them, and each goes home.
    if (use_depot && store.node_count() == 1 && floor == full->slots && depots.has_room()) {
        if (magazine* empty = get_empty_magazine()) {
            full->count = static_cast<std::uint32_t>(count);
            depots.put(node, sclass, full);
            st.push_magazine = empty;
        } else {
            return_objects(sclass, floor, top);
        }
    } else {
        return_objects(sclass, floor, top);
    }
    const slot_pointer slots = st.push_magazine->slots;
    st.push_floor = slots;
    b.push.store(slots, relaxed);
    b.push_end.store(slots + push_slots(st.capacity), relaxed);
}

void thread_cache::free(span_class sclass, void* object) noexcept {
    const os::lock_guard guard(lock);
    ++slow_calls;
    if (closed) reopen();
    const bin b = bins[sclass];
    bin_state& st = states_[sclass];
    if (st.push_magazine == nullptr) {
        if (!is_cached_when_freed(sclass) || (st.push_magazine = get_empty_magazine()) == nullptr) {
            put_one(sclass, object);
            return;
        }
        if (st.capacity == 0) st.capacity = grown(0, sclass);
        st.push_floor = st.push_magazine->slots;
        b.push.store(st.push_floor, relaxed);
        b.push_end.store(st.push_floor + push_slots(st.capacity), relaxed);
    } else if (b.push.load(relaxed) >= b.push_end.load(relaxed)) {
        const std::uint32_t larger =
            earns_growth(st, sclass) ? grown(st.capacity, sclass) : st.capacity;
        if (push_slots(larger) > push_slots(st.capacity)) {
            st.capacity = larger;
        } else if (distance(st.held_floor, b.pop.load(relaxed)) <= most_carried(st.capacity)) {
            swap_magazines(sclass);
        } else {
            send_push_magazine(sclass);
        }
        if (st.push_magazine == nullptr) {  // no memory for a second magazine
            put_one(sclass, object);
            return;
        }
        b.push_end.store(st.push_magazine->slots + push_slots(st.capacity), relaxed);
    }
    const slot_pointer top = b.push.load(relaxed);
    top->store(object, relaxed);
    b.push.store(top + 1, relaxed);
}

// Freed objects of 2 KiB and more: a span holds few of them, so that giving them
// back is likely to free pages for the class that is about to ask the OS for some.
void thread_cache::return_large_objects() noexcept {
    for (unsigned c = 2 * size_class_of(2048); c < span_class_count; ++c) {
        bin_state& st = states_[c];
        const bin b = bins[c];
        const slot_pointer top = b.push.load(relaxed);
        if (top == st.push_floor) continue;
        st.left += distance(st.push_floor, top);
        return_objects(static_cast<span_class>(c), st.push_floor, top);
        st.push_floor = st.push_magazine->slots;
        b.push.store(st.push_floor, relaxed);
    }
}

// Undoes what expose() took from the draw for objects that are still ready: they
// will be exposed again, or never pass.
void thread_cache::restore_draw(unsigned c) noexcept {
    bin_state& st = states_[c];
    const slot_pointer top = bins[c].pop.load(relaxed);
    const slot_pointer floor = bins[c].pop_floor.load(relaxed);
    if (!sampler::active() || top == nullptr || floor > top) return;
    const bool due = st.until_sample == 0 && st.held_floor != floor;
    if (st.until_sample == 0 && !due) return;  // made ready while nobody listened: not drawn
    st.until_sample += distance(floor, top) + (due ? 1 : 0);
}

void thread_cache::drop_magazines(unsigned c) noexcept {
    const bin b = bins[c];
    bin_state& st = states_[c];
    if (st.pop_magazine != nullptr) put_empty_magazine(st.pop_magazine);
    if (st.push_magazine != nullptr) put_empty_magazine(st.push_magazine);
    st.pop_magazine = st.push_magazine = nullptr;
    st.held_floor = st.push_floor = nullptr;
    st.capacity = 0;
    b.pop.store(nullptr, relaxed);
    b.pop_floor.store(nullptr, relaxed);
    b.push.store(nullptr, relaxed);
    b.push_end.store(nullptr, relaxed);
}

void thread_cache::flush_all() noexcept {
    const os::lock_guard guard(lock);
    if (closed) reopen();
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin b = bins[c];
        bin_state& st = states_[c];
        const auto sclass = static_cast<span_class>(c);
        if (st.pop_magazine == nullptr && st.push_magazine == nullptr) continue;
        const slot_pointer top = b.pop.load(relaxed);
        restore_draw(c);
        st.entered -= distance(st.held_floor, top);
        return_objects(sclass, st.held_floor, top);
        const slot_pointer freed = b.push.load(relaxed);
        st.left += distance(st.push_floor, freed);
        return_objects(sclass, st.push_floor, freed);
        drop_magazines(c);
    }
}

void thread_cache::release_magazines() noexcept {
    const os::lock_guard guard(lock);
    for (unsigned c = 0; c < span_class_count; ++c) drop_magazines(c);
    closed = false;
}

void thread_cache::reset_counts() noexcept {
    for (bin_state& st : states_) {
        if (st.entered != 0 || st.left != 0 || st.sampled != 0)
            st.entered = st.left = st.sampled = 0;
        st.until_sample = st.rest = 0;
    }
}

void thread_cache::close() noexcept {
    const os::lock_guard guard(lock);
    for (unsigned c = 0; c < span_class_count; ++c) {
        restore_draw(c);
        bins[c].pop_floor.store(nothing_ready, relaxed);
        bins[c].push_end.store(nullptr, relaxed);
    }
    closed = true;
}

void thread_cache::drain_closed() noexcept {
    const os::lock_guard guard(lock);
    if (!closed) return;  // the owner came back first
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin b = bins[c];
        bin_state& st = states_[c];
        const auto sclass = static_cast<span_class>(c);
        const slot_pointer top = b.pop.load(relaxed);
        if (distance(st.held_floor, top) > 1) {  // the top one may be on its way out
            st.entered -= distance(st.held_floor, top - 1);
            return_objects(sclass, st.held_floor, top - 1);
            st.held_floor = top - 1;
        }
        // acquire; pairs with the release in deallocate(). The slot it names may be
        // written any moment.
        const slot_pointer freed = b.push.load(std::memory_order_acquire);
        if (freed > st.push_floor) {
            st.left += distance(st.push_floor, freed);
            return_objects(sclass, st.push_floor, freed);
            st.push_floor = freed;
        }
    }
}

void thread_cache::reopen() noexcept {
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin b = bins[c];
        bin_state& st = states_[c];
        if (st.pop_magazine == nullptr) {
            b.pop_floor.store(nullptr, relaxed);
        } else {
            expose(static_cast<span_class>(c), st.held_floor, b.pop.load(relaxed));
        }
        if (st.push_magazine != nullptr) {
            if (b.push.load(relaxed) == st.push_floor) {
                st.push_floor = st.push_magazine->slots;
                b.push.store(st.push_floor, relaxed);
            }
            b.push_end.store(st.push_magazine->slots + push_slots(st.capacity), relaxed);
        }
    }
    closed = false;
    idle_ticks = 0;
}

void thread_cache::add_freed(class_counts* counts) noexcept {
    const os::lock_guard guard(lock);
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin_state& st = states_[c];
        // acquire; pairs with the release in deallocate(): whoever popped this object did
        // so before, and add_allocated() sees it afterwards.
        const slot_pointer freed = bins[c].push.load(std::memory_order_acquire);
        counts[c].freed += st.left + distance(st.push_floor, freed);
    }
}

void thread_cache::add_allocated(class_counts* counts) noexcept {
    const os::lock_guard guard(lock);
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin_state& st = states_[c];
        const std::size_t inside = distance(st.held_floor, bins[c].pop.load(relaxed));
        counts[c].allocated += st.entered + st.sampled - inside;
    }
}

std::size_t thread_cache::cached_bytes() noexcept {
    const os::lock_guard guard(lock);
    return cached_bytes_locked();
}

std::size_t thread_cache::cached_bytes_locked() noexcept {
    std::size_t sum = 0;
    for (unsigned c = 0; c < span_class_count; ++c) {
        const bin_state& st = states_[c];
        sum += class_size[c >> 1] * (distance(st.held_floor, bins[c].pop.load(relaxed)) +
                                     distance(st.push_floor, bins[c].push.load(relaxed)));
    }
    return sum;
}

bool thread_cache::idle_for(std::uint32_t ticks) noexcept {
    const os::lock_guard guard(lock);
    const bool moved = slow_calls != seen_slow_calls;
    seen_slow_calls = slow_calls;
    idle_ticks = moved ? 0 : idle_ticks + 1;
    return !closed && idle_ticks >= ticks && cached_bytes_locked() != 0;
}

bool thread_cache::holds(span_class sclass, const void* object) noexcept {
    const bin b = bins[sclass];
    const bin_state& st = states_[sclass];
    const auto among = [object](slot_pointer from, slot_pointer to) noexcept {
        for (; from < to; ++from) {
            if (from->load(relaxed) == object) return true;
        }
        return false;
    };
    return among(st.held_floor, b.pop.load(relaxed)) || among(st.push_floor, b.push.load(relaxed));
}

}  // namespace steady::detail
