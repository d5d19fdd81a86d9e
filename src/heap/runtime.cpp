// runtime.cpp - opening the default heap, the life of its threads, fork. The
// story is in runtime.hpp.
#include "steady/heap/detail/runtime.hpp"

#include <pthread.h>

#include "steady/core/fatal.hpp"
#include "steady/core/hooks.hpp"
#include "steady/core/options.hpp"
#include "steady/heap/detail/checked.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/guards.hpp"
#include "steady/heap/detail/instances.hpp"
#include "steady/heap/detail/lone_counts.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/barrier.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"
#include "steady/os/thread.hpp"

namespace steady::detail {

constinit thread_cache empty_cache;
constinit __thread thread_cache* current_cache __attribute__((tls_model("initial-exec"))) =
    &empty_cache;
constinit heap_core default_core;
constinit heap_core record_core;
constinit cache_registry registry;
constinit memory_limits limits;

namespace {

constinit ranked_mutex<lock_rank::init> init_lock;
constinit std::atomic<bool> opened{false};
constinit pthread_key_t exit_key;
constinit bool has_exit_key = false;

// The thread's destructors have run: whatever it still frees goes direct.
constinit __thread bool departed __attribute__((tls_model("initial-exec"))) = false;

// Forgets a cache's counters after they were added to the departed ones.
void retire_counts(thread_cache& c) noexcept {
    c.add_counts(registry.departed);
    c.reset_counts();
}

void leave_registry(thread_cache* c) noexcept {
    (c->previous != nullptr ? c->previous->next : registry.first) = c->next;
    if (c->next != nullptr) c->next->previous = c->previous;
    retire_counts(*c);
    c->previous = nullptr;
    c->next = registry.unused;
    registry.unused = c;
}

// Key destructor: the last thing of the heap that runs in a thread.
void detach_thread(void* value) noexcept {
    auto* c = static_cast<thread_cache*>(value);
    current_cache = &empty_cache;
    departed = true;
    c->flush_all();
    const os::lock_guard guard(registry.lock);
    c->release_magazines();  // K4, should somebody have closed it since
    leave_registry(c);
    --registry.threads;
}

extern "C" void steady_thread_exit(void* value) {
    detach_thread(value);
}

}  // namespace

void adopt_orphans() noexcept {
    using keeper = thread_cache::keeper;
    while (registry.orphans.load(std::memory_order_relaxed) != 0) {
        thread_cache* c = nullptr;
        {
            const os::lock_guard guard(registry.lock);
            for (c = registry.first; c != nullptr && c->kept_by != keeper::nobody;) c = c->next;
            if (c == nullptr) return;  // somebody else has the last one in hand
            c->kept_by = keeper::adopter;
        }
        c->close();
        c->drain_closed();  // an operation may have been cut in two by the fork: its object stays out
        const os::lock_guard guard(registry.lock);
        c->release_magazines();
        leave_registry(c);
        registry.orphans.fetch_sub(1, std::memory_order_relaxed);
    }
}

namespace {

// In a program that links the heap. The drop-in library registers handlers of its
// own, before everybody else's. Called with no lock held: libc may allocate for the
// handler, and a program may have put this heap below its malloc; that call comes back
// here, opens the heap and passes. Every other thread waits: whoever used the heap before the handlers
// are there could hold a lock while somebody forks. A child that was forked from within
// the registration starts it anew, as pthread_once promises.
void register_fork_handlers() noexcept {
#if !defined(STEADY_MALLOC_LIBRARY)
    static constinit pthread_once_t once = PTHREAD_ONCE_INIT;
    static constinit __thread bool registering __attribute__((tls_model("initial-exec"))) = false;
    if (registering) return;
    registering = true;
    pthread_once(&once,
                 [] { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); });
    registering = false;
#endif
}

thread_cache* attach_thread() noexcept {
    if (departed || !open_heap() || checked_mode() || !has_exit_key) return nullptr;
    adopt_orphans();
    thread_cache* c = nullptr;
    {
        const os::lock_guard guard(registry.lock);
        c = registry.unused;
        if (c != nullptr) {
            registry.unused = c->next;
        } else {
            // K4: fresh metadata is zero, and a zeroed cache is an empty one;
            // constructing it would touch four pages of which few are used.
            const room granted(bytes{sizeof(thread_cache)});
            if (!granted) return nullptr;
            c = static_cast<thread_cache*>(os::metadata_alloc(
                bytes{sizeof(thread_cache)}, alignof(thread_cache), metadata_ledgers.caches));
            if (c == nullptr) return nullptr;
        }
        c->begin(default_core, store.current_node(),
                 os::now_ns() ^ reinterpret_cast<std::uintptr_t>(c));
        c->next = registry.first;
        if (registry.first != nullptr) registry.first->previous = c;
        registry.first = c;
        ++registry.threads;
    }
    current_cache = c;
    pthread_setspecific(exit_key, c);  // may allocate: the cache is already there
    return c;
}

// May be tried again: what was opened before is kept, and the failure is told once.
bool open_locked() noexcept {
    static constinit bool told = false;
    const auto fail = [](const error& refused) noexcept {
        if (told) return false;
        told = true;
        const error e = os::explain(refused, bytes{std::size_t{1} << 20});
        message m("heap");
        m.text("cannot open the heap: ").text(e.action).text(" failed: ").text(describe(e.code));
        m.line(
            "  Every allocation fails until it opens. Raise the address space limit (ulimit -v) "
            "or free memory.");
        warn(m);
        return false;
    };
    if (const auto done = store.open(); !done) return fail(done.error());
    const unsigned nodes = store.node_count();
    const bytes size{sizeof(central_list) * span_class_count * (nodes + 1)};
    if (default_core.centrals_ == nullptr) {
        void* memory = os::metadata_alloc(size, alignof(central_list), metadata_ledgers.centrals);
        if (memory == nullptr)
            return fail({errc::out_of_memory, 12, "allocating the central lists"});
        default_core.centrals_ =
            static_cast<central_list*>(memory);  // zeroed memory is an empty central
    }
    default_core.nodes_ = nodes;
    default_core.default_ = true;
    record_core.centrals_ = default_core.centrals_ + span_class_count * nodes;
    if (const auto done = depots.open(nodes); !done) return fail(done.error());
    limits.set(options().memory_limit, options().hard_memory_limit);
    sampler::configure(options().profilerate, options().guard_rate);
    has_exit_key = pthread_key_create(&exit_key, steady_thread_exit) == 0;
    if (!has_exit_key) {
        message m("heap");
        m.text("no pthread key left (PTHREAD_KEYS_MAX): threads will run without caches, slower.");
        warn(m);
    }
    return true;
}

}  // namespace

bool open_heap() noexcept {
    if (opened.load(std::memory_order_acquire)) return true;  // pairs with the store below
    register_fork_handlers();  // before the first lock that a child could inherit locked
    const os::lock_guard guard(init_lock);
    if (opened.load(std::memory_order_relaxed)) return true;
    if (!open_locked()) return false;
    opened.store(true, std::memory_order_release);
    return true;
}

bool checked_mode() noexcept {
    return options().check != 0 || options().junk;
}

void* allocate_slow(std::size_t size, span_class sclass) noexcept {
    thread_cache* c = current_cache;
    if (c == &empty_cache && (c = attach_thread()) == nullptr) {
        if (!open_heap()) return nullptr;
        if (checked_mode())
            return checked::allocate(default_core, store.current_node(), sclass, size);
        return allocate_direct(default_core, store.current_node(), sclass);
    }
    void* p = c->allocate(sclass, size);
    if (p == nullptr) [[unlikely]]
        failure_hook.announce({bytes{size}});
    return p;
}

void* allocate_direct(heap_core& core, unsigned node, span_class sclass) noexcept {
    slot object{nullptr};
    if (core.take(node, sclass, &object + 1, 1) == 0) return nullptr;
    central_list& list = core.central(core.nodes_ == 1 ? 0 : node, sclass);
    const os::lock_guard guard(list.lock);
    ++list.direct_allocated;
    return object.load(std::memory_order_relaxed);
}

void free_direct(heap_core& core, span* s, void* p) noexcept {
    const span_class sclass = s->sclass;
    central_list& list = core.central(core.nodes_ == 1 ? 0u : s->node, sclass);
    const slot object{p};
    core.put(sclass, &object, 1);
    const os::lock_guard guard(list.lock);
    ++list.direct_freed;
}

void deallocate_slow(void* p) noexcept {
    if (p == nullptr) return;
    span* s = heap_map.find(p);
    if (s == nullptr) {
        huge_block* b = huge_blocks.find(p);
        if (b == nullptr) report_invalid_free(p);
        static_cast<heap_core*>(b->owner)->is_default() ? free_huge(b, p)
                                                        : instance_free_huge(b, p);
        return;
    }
    if (!s->owner->is_default()) {
        if (s->owner == &record_core) report_invalid_free(p);
        instance_free(s, p);
        return;
    }
    switch (s->kind) {
        case span_kind::small: {
            thread_cache* c = current_cache;
            if (c == &empty_cache && (c = attach_thread()) == nullptr) {
                checked_mode() ? checked::free(default_core, s, p)
                               : free_direct(default_core, s, p);
                return;
            }
            c->free(s->sclass, p);
            return;
        }
        case span_kind::large: free_large(s, p); return;
        case span_kind::sampled:
        case span_kind::guarded: {
            central_list& list =
                default_core.central(default_core.nodes_ == 1 ? 0u : s->node, s->sclass);
            sampler::free(s, p);
            const os::lock_guard guard(list.lock);
            ++list.direct_freed;
            return;
        }
    }
}

bool empty_idle_caches(std::uint32_t idle_ticks, const thread_cache* except) noexcept {
    adopt_orphans();
    const os::lock_guard guard(registry.lock);
    bool any = false;
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) {
        if (c == except || c->kept_by != thread_cache::keeper::thread) continue;
        if (!c->idle_for(idle_ticks)) continue;
        c->close();
        any = true;
    }
    if (!any) return false;
    if (!os::membarrier()) return false;  // their owners reopen them; nothing was taken
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) c->drain_closed();
    return true;
}

void redraw_samples() noexcept {
    if (!opened.load(std::memory_order_acquire)) return;  // pairs with the store in open_heap()
    os::membarrier_register();
    empty_idle_caches(0, nullptr);
    close_instance_caches();
}

std::size_t trim() noexcept {
    if (!open_heap()) return 0;
    if (current_cache != &empty_cache) current_cache->flush_all();
    os::membarrier_register();
    empty_idle_caches(0, current_cache);
    depots.trim(default_core, ~std::size_t{0}, true);
    default_core.trim_empty();
    trim_empty_magazines(true);
    record_core.trim_empty();
    store.release_kept_samples();
    const std::size_t released = release_free_pages(~std::size_t{0}, true, false);
    const std::size_t before = idle_huge_bytes();
    std::size_t after = before;
    for (std::size_t last = ~std::size_t{0}; after < last;) {  // while it makes progress
        last = after;
        huge_blocks.scavenge(bytes{std::size_t{64} << 20}, true, false);
        after = idle_huge_bytes();
    }
    return released + (before > after ? before - after : 0);
}

void lock_objects() noexcept {
    registry.lock.lock();
    lock_instances();
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) c->lock.lock();
    lock_instance_caches();
    checked::before_fork();
    guards::before_fork();
    for (unsigned i = 0; i < (default_core.nodes_ + 1) * span_class_count; ++i)
        default_core.centrals_[i].lock.lock();
    lock_instance_centrals();
    limits.taking.lock();
    scavenger_before_fork();
    store.lock_all();
}

void unlock_objects() noexcept {
    store.unlock_all();
    scavenger_after_fork();
    limits.taking.unlock();
    unlock_instance_centrals();
    for (unsigned i = (default_core.nodes_ + 1) * span_class_count; i-- > 0;)
        default_core.centrals_[i].lock.unlock();
    guards::after_fork();
    checked::after_fork();
    unlock_instance_caches();
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) c->lock.unlock();
    unlock_instances();
    registry.lock.unlock();
}

// All locks: the child finds every structure between two operations.
void before_fork() noexcept {
    static_cast<void>(options());  // parsed now, not by a child in the middle of it
    lone_counts_before_fork();
    init_lock.lock();
    if (!opened.load(std::memory_order_relaxed)) return;
    lock_objects();
    huge_blocks.before_fork();
    fork_hook.announce({fork_event::what::prepare});
}

namespace {

void resume_after_fork(fork_event::what where) noexcept {
    if (opened.load(std::memory_order_relaxed)) {
        fork_hook.announce({where});
        huge_blocks.after_fork_in_parent();
        unlock_objects();
    }
    init_lock.unlock();
    lone_counts_after_fork();
}

}  // namespace

void after_fork_in_parent() noexcept {
    resume_after_fork(fork_event::what::parent);
}

// The child has one thread, which holds all the locks and gives them back as the parent
// does. The others' caches become orphans; they are emptied when the child starts a
// thread, trims or has a scavenger, not here: most children exec, and touching those
// pages would copy them.
void after_fork_in_child() noexcept {
    resume_after_fork(fork_event::what::child);
    os_hook.reset_after_fork();
    growth_hook.reset_after_fork();
    failure_hook.reset_after_fork();
    sample_hook.reset_after_fork();
    os::metadata_reset_after_fork();  // its callers hold one of the locks above
    if (!opened.load(std::memory_order_relaxed)) return;
    scavenger_forget_after_fork();
    const os::lock_guard guard(registry.lock);
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) {
        if (c == current_cache) continue;
        if (c->kept_by == thread_cache::keeper::thread) {
            registry.orphans.fetch_add(1, std::memory_order_relaxed);
            --registry.threads;
        }
        c->kept_by = thread_cache::keeper::nobody;  // also one that was being adopted
    }
}

}  // namespace steady::detail
