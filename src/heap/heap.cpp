// heap.cpp - the public functions, and heap instances. The story is in heap.hpp.
#include "steady/heap/heap.hpp"

#include "steady/heap/detail/checked.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/instances.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/barrier.hpp"
#include "steady/os/metadata.hpp"

namespace steady {

namespace detail {

// An instance uses the same parts as the default heap: centrals, and one cache
// that its lock protects instead of a thread's identity.
struct heap_instance {
    heap_core core;  // first: spans point to it
    ranked_mutex<lock_rank::instance> lock;
    unsigned node;
    heap_instance* next;
    heap_instance* previous;
    class_counts before_release[span_class_count];
    central_list centrals[span_class_count];
    thread_cache cache;
};

namespace {

struct instance_list {
    ranked_mutex<lock_rank::instances> lock;
    heap_instance* first{nullptr};
    os::fixed_pool<heap_instance> pool;
};
constinit instance_list instances;

heap_instance& instance_of(heap_core* core) noexcept {
    return *reinterpret_cast<heap_instance*>(core);
}

object_info describe_object(const span& s, std::uint32_t index) noexcept {
    object_info o;
    o.base = reinterpret_cast<void*>(s.object_at(index));
    o.size = s.object_size();
    if (s.kind == span_kind::sampled || s.kind == span_kind::guarded) {
        o.base = reinterpret_cast<void*>(sampler::object_of(s));
        o.size = usable_size(o.base);
    }
    o.index = index;
    o.count = s.object_count;
    o.span_base = reinterpret_cast<void*>(s.base);
    o.span_size = s.byte_count();
    o.kind = s.noscan() ? contents::no_pointers : contents::may_hold_pointers;
    o.side_data = const_cast<std::atomic<void*>*>(&s.side_data);
    return o;
}

object_info describe_block(huge_block& b) noexcept {
    object_info o;
    o.base = b.base;
    o.size = b.size;
    o.count = 1;
    o.span_base = o.base;
    o.span_size = o.size;
    o.kind = b.noscan ? contents::no_pointers : contents::may_hold_pointers;
    o.side_data = &b.side_data;
    return o;
}

using visitor = void (*)(void*, const object_info&);

void visit_span(const span& s, visitor visit, void* context,
                bool (*cached)(const span&, const void*)) noexcept {
    for (std::uint32_t i = 0; i < s.object_count; ++i) {
        if (s.is_free(i)) continue;
        const object_info o = describe_object(s, i);
        if (s.kind != span_kind::small || cached == nullptr || !cached(s, o.base))
            visit(context, o);
    }
}

// Closed caches keep one object a class, and checked mode keeps freed ones for a
// while; those are not alive. Under lock_objects().
bool lies_in_a_cache(const span& s, const void* object) noexcept {
    if (checked_mode()) return checked::waits(object);
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) {
        if (c->holds(s.sclass, object)) return true;
    }
    return false;
}

void free_in(heap_instance& in, span* s, void* p) noexcept {
    const os::lock_guard guard(in.lock);
    switch (s->kind) {
        case span_kind::small: in.cache.free(s->sclass, p); return;
        case span_kind::large: free_large(s, p); return;
        case span_kind::sampled:
        case span_kind::guarded: {
            const span_class sclass = s->sclass;
            sampler::free(s, p);
            ++in.core.central(0, sclass).direct_freed;
            return;
        }
    }
}

}  // namespace

void instance_free(span* s, void* p) noexcept {
    free_in(instance_of(s->owner), s, p);
}

void instance_free_huge(huge_block* b, void* p) noexcept {
    const os::lock_guard guard(instance_of(static_cast<heap_core*>(b->owner)).lock);
    free_huge(b, p);
}

ranked_mutex<lock_rank::instance>& instance_lock(heap_core& core) noexcept {
    return instance_of(&core).lock;
}

void close_instance_caches() noexcept {
    const os::lock_guard guard(instances.lock);
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) i->cache.close();
}

void* instance_allocate(heap_core& core, std::size_t size, std::size_t alignment,
                        bool noscan) noexcept {
    heap_instance& in = instance_of(&core);
    const os::lock_guard guard(in.lock);
    if (const span_class sclass = class_for(size, alignment, noscan))
        return in.cache.allocate(sclass, size);
    return allocate_large_for(core, in.node, size, alignment, noscan, nullptr);
}

void for_each_instance(void (*visit)(void* context, heap_core& core) noexcept,
                       void* context) noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) visit(context, i->core);
}

void lock_instances() noexcept {
    instances.lock.lock();
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) i->lock.lock();
}
void lock_instance_caches() noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) i->cache.lock.lock();
}
void lock_instance_centrals() noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) {
        for (central_list& c : i->centrals) c.lock.lock();
    }
}
void unlock_instance_centrals() noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) {
        for (central_list& c : i->centrals) c.lock.unlock();
    }
}
void unlock_instance_caches() noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) i->cache.lock.unlock();
}
void unlock_instances() noexcept {
    for (heap_instance* i = instances.first; i != nullptr; i = i->next) i->lock.unlock();
    instances.lock.unlock();
}

}  // namespace detail

using namespace detail;

void* allocate(std::size_t size, std::size_t alignment, contents kind) noexcept {
    const bool noscan = kind == contents::no_pointers;
    if (const span_class sclass = class_for(size, alignment, noscan))
        return allocate_class(sclass, aligned_request(size, alignment));
    return allocate_large(size, alignment, noscan, nullptr);
}

void deallocate(void* p) noexcept {
    detail::deallocate(p);
}
void* reallocate(void* p, std::size_t size) noexcept {
    return detail::reallocate(p, size);
}
bool grow_in_place(void* p, std::size_t size) noexcept {
    return detail::grow_in_place(p, size);
}
std::size_t try_grow(void* p, std::size_t size) noexcept {
    static_cast<void>(detail::grow_in_place(p, size));
    return detail::usable_size(p);
}
std::size_t usable_size(const void* p) noexcept {
    return detail::usable_size(p);
}
void set_memory_limit(std::size_t soft, std::size_t hard) noexcept {
    if (!open_heap()) return;
    limits.set(soft, hard);
    obey_limits();
}
std::size_t trim() noexcept {
    return detail::trim();
}

object_info find_object(const void* address) noexcept {
    if (const span* s = heap_map.find(address)) {
        if (s->owner == &record_core) return {};
        const auto at = reinterpret_cast<std::uintptr_t>(address);
        if (s->kind == span_kind::guarded) {
            const std::uintptr_t object = sampler::object_of(*s);
            return at - object < detail::usable_size(address) ? describe_object(*s, 0)
                                                              : object_info{};
        }
        const std::uint32_t index = s->index_of(at);
        return index < s->object_count ? describe_object(*s, index) : object_info{};
    }
    if (huge_block* b = huge_blocks.find(address)) return describe_block(*b);
    return {};
}

void for_each_object(void (*visit)(void* context, const object_info& object),
                     void* context) noexcept {
    if (!open_heap()) return;
    if (current_cache != &empty_cache) current_cache->flush_all();
    os::membarrier_register();
    empty_idle_caches(0, current_cache);
    depots.trim(default_core, ~std::size_t{0}, true);
    lock_objects();
    for (unsigned i = 0; i < store.node_count(); ++i) {
        std::size_t page = store.node(i).first_page;
        const std::size_t end = page + store.node(i).pages.high_water().count();
        while (page < end) {
            const span* s = heap_map.span_of_page[page].load(std::memory_order_relaxed);
            if (s != nullptr && s->owner->is_default())
                visit_span(*s, visit, context, &lies_in_a_cache);
            page += s != nullptr ? s->page_count : 1;
        }
    }
    huge_blocks.for_each([&](huge_block& b) noexcept {
        if (static_cast<heap_core*>(b.owner)->is_default()) visit(context, describe_block(b));
    });
    unlock_objects();
}

heap::heap() noexcept : instance_(nullptr) {
    if (!open_heap()) return;
    const os::lock_guard guard(instances.lock);
    const room granted(bytes{sizeof(heap_instance)});
    if (!granted) return;
    instance_ = instances.pool.get(metadata_ledgers.caches);
    if (instance_ == nullptr) return;
    __builtin_memset(static_cast<void*>(instance_), 0,
                     sizeof(heap_instance));  // zeroed parts are empty parts
    instance_->core.centrals_ = instance_->centrals;
    instance_->core.nodes_ = 1;
    instance_->node = store.current_node();
    instance_->cache.begin(instance_->core, instance_->node,
                           reinterpret_cast<std::uintptr_t>(instance_));
    instance_->next = instances.first;
    if (instances.first != nullptr) instances.first->previous = instance_;
    instances.first = instance_;
}

heap::~heap() {
    if (instance_ == nullptr) return;
    release();
    const os::lock_guard guard(instances.lock);
    heap_instance* i = instance_;
    (i->previous != nullptr ? i->previous->next : instances.first) = i->next;
    if (i->next != nullptr) i->next->previous = i->previous;
    instances.pool.put(i);
}

heap::heap(heap&& other) noexcept : instance_(other.instance_) {
    other.instance_ = nullptr;
}

heap& heap::operator=(heap&& other) noexcept {
    heap_instance* mine = instance_;
    instance_ = other.instance_;
    other.instance_ = mine;  // freed by other's destructor
    return *this;
}

void* heap::allocate(std::size_t size, std::size_t alignment, contents kind) noexcept {
    if (instance_ == nullptr) return nullptr;
    return instance_allocate(instance_->core, size, alignment, kind == contents::no_pointers);
}

void heap::deallocate(void* p) noexcept {
    if (p == nullptr) return;
    if (span* s = heap_map.find(p)) {
        if (instance_ == nullptr || s->owner != &instance_->core) report_wrong_heap(p);
        free_in(*instance_, s, p);
        return;
    }
    huge_block* b = huge_blocks.find(p);
    if (b == nullptr) report_invalid_free(p);
    if (instance_ == nullptr || b->owner != &instance_->core) report_wrong_heap(p);
    instance_free_huge(b, p);
}

void heap::release() noexcept {
    if (instance_ == nullptr) return;
    heap_instance& in = *instance_;
    const os::lock_guard guard(in.lock);
    // What lives now counts as freed; what lies in the cache was counted already.
    in.cache.flush_all();
    in.cache.add_counts(in.before_release);
    in.cache.reset_counts();
    for (unsigned c = 0; c < span_class_count; ++c) {
        central_list& list = in.centrals[c];
        in.before_release[c].freed = in.before_release[c].allocated;
        list.direct_freed = 0;
        list.first = list.last = nullptr;
        list.spans = list.objects_out = 0;
        list.empty_spans = 0;
    }
    while (span* s = in.core.all_spans_) {
        if (s->kind == span_kind::sampled) {
            sampler::free(s, reinterpret_cast<void*>(sampler::object_of(*s)));
        } else if (s->kind == span_kind::large) {
            free_large(s, reinterpret_cast<void*>(s->base));
        } else {
            store.destroy(s);
        }
    }
    huge_blocks.for_each([&](huge_block& b) noexcept {
        if (b.owner == &in.core) sampler::large_freed(b.sample, b.base, b.size);
    });
    huge_blocks.free_all(&in.core);
    note_page_traffic();
    if (worth_scavenging(idle_huge_bytes(), 0)) scavenger_request();
    in.core.huge_.freed.store(in.core.huge_.allocated.load());
    in.core.huge_.bytes_freed.store(in.core.huge_.bytes_allocated.load());
}

heap::usage heap::read_usage() const noexcept {
    usage u{};
    if (instance_ == nullptr) return u;
    heap_instance& in = *instance_;
    const os::lock_guard guard(in.lock);
    class_counts counts[span_class_count];
    for (unsigned c = 0; c < span_class_count; ++c) counts[c] = in.before_release[c];
    in.cache.add_counts(counts);
    for (unsigned c = 2; c < span_class_count; ++c) {
        counts[c].freed += in.centrals[c].direct_freed;
        u.mallocs += counts[c].allocated;
        u.frees += counts[c].freed;
        u.live_bytes += (counts[c].allocated - counts[c].freed) * class_size[c >> 1];
    }
    heap_core& core = in.core;
    u.frees += core.large_freed_ + core.huge_.freed;  // frees first: see statistics.cpp
    const std::uint64_t huge_freed = core.huge_.bytes_freed;
    u.mallocs += core.large_allocated_ + core.huge_.allocated;
    const std::uint64_t huge_bytes = core.huge_.bytes_allocated - huge_freed;
    u.live_bytes += core.large_bytes_allocated_ - core.large_bytes_freed_ + huge_bytes;
    u.span_bytes = huge_bytes;
    for (span* s = core.all_spans_; s != nullptr; s = owner_links(*s).next)
        u.span_bytes += s->byte_count();
    return u;
}

void heap::for_each_object(void (*visit)(void* context, const object_info& object),
                           void* context) const noexcept {
    if (instance_ == nullptr) return;
    const os::lock_guard guard(instance_->lock);
    instance_->cache.flush_all();
    for (span* s = instance_->core.all_spans_; s != nullptr; s = owner_links(*s).next) {
        visit_span(*s, visit, context, nullptr);
    }
    huge_blocks.for_each([&](huge_block& b) noexcept {
        if (b.owner == &instance_->core) visit(context, describe_block(b));
    });
}

}  // namespace steady
