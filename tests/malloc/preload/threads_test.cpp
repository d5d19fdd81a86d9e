// threads_test.cpp - threads that come, go, swap memory, have tiny stacks, and
// use malloc when everything of theirs has been torn down.
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "support.hpp"

namespace {

template <class Body>
void in_threads(int count, Body body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([=] { body(i); });
    for (auto& t : threads) t.join();
}

TEST(threads, objects_freed_by_another_thread_keep_their_bytes_until_then) {
    constexpr int slots = 4096, rounds = 60'000;
    struct parcel {
        std::size_t size;
        std::uint64_t owner;
    };
    static std::atomic<parcel*> exchange[slots];
    in_threads(6, [](int self) {
        std::mt19937 random(static_cast<unsigned>(self) + 17);
        for (int i = 0; i < rounds; ++i) {
            parcel* mine = nullptr;
            if (random() % 4 != 0) {
                const std::size_t size = sizeof(parcel) + random() % 600;
                mine = static_cast<parcel*>(get(size));
                *mine = {size - sizeof(parcel), random()};
                sign(mine + 1, mine->size, mine->owner);
            }
            parcel* theirs = exchange[random() % slots].exchange(mine);
            if (theirs == nullptr) continue;
            ASSERT_EQ(first_wrong(theirs + 1, theirs->size, theirs->owner), theirs->size);
            put(theirs);
        }
    });
    for (auto& slot : exchange) put(slot.exchange(nullptr));
}

TEST(threads, hundreds_come_and_go_and_their_memory_stays_usable) {
    std::vector<void*> left(400);
    for (int wave = 0; wave < 10; ++wave) {
        in_threads(40, [&](int self) {
            for (int i = 0; i < 200; ++i) put(get(static_cast<std::size_t>(i) * 7));
            const std::size_t at = static_cast<std::size_t>(wave * 40 + self);
            left[at] = get(500);
            sign(left[at], 500, at);
        });
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
        EXPECT_EQ(first_wrong(left[i], 500, i), 500u);
        put(left[i]);
    }
}

// ---- Destructors at the end of a thread

std::atomic<int> destructors_run{0};

void use_malloc_thoroughly() {
    for (std::size_t size : {1u, 24u, 300u, 5000u, 40'000u, 300'000u}) {
        void* p = get(size);
        sign(p, size, 5);
        p = opaque(std::realloc(p, size * 2));
        EXPECT_EQ(first_wrong(p, size, 5), size);
        put(p);
    }
}

struct uses_malloc_when_destroyed {
    void* held = get(100);
    ~uses_malloc_when_destroyed() {
        use_malloc_thoroughly();
        put(held);
        ++destructors_run;
    }
};
thread_local uses_malloc_when_destroyed cpp_thread_local;

pthread_key_t keys[8];

// Sets its key again until the C library gives up, so it runs in every round of
// key destructors, also after the heap's own.
void key_destructor(void* value) {
    use_malloc_thoroughly();
    put(value);
    ++destructors_run;
    for (pthread_key_t key : keys) {
        if (pthread_getspecific(key) == nullptr && pthread_setspecific(key, get(64)) == 0) return;
    }
}

TEST(threads, malloc_works_in_destructors_of_thread_locals_and_keys_to_the_very_end) {
    for (auto& key : keys) ASSERT_EQ(pthread_key_create(&key, key_destructor), 0);
    destructors_run = 0;
    constexpr int count = 40;
    in_threads(count, [](int self) {
        sign(cpp_thread_local.held, 100, 1);
        for (int i = 0; i < 3; ++i) pthread_setspecific(keys[(self + i) % 8], get(48));
    });
    EXPECT_GE(destructors_run.load(), count * (1 + 3 * PTHREAD_DESTRUCTOR_ITERATIONS));
    for (auto key : keys) pthread_key_delete(key);
}

TEST(threads, a_thread_that_only_frees_in_its_destructors_is_fine) {
    pthread_key_t key;
    ASSERT_EQ(pthread_key_create(&key, [](void* p) { put(p); }), 0);
    for (int i = 0; i < 200; ++i) {
        void* gift = get(static_cast<std::size_t>(i) * 50);
        std::thread([=] { pthread_setspecific(key, gift); }).join();
    }
    pthread_key_delete(key);
}

TEST(threads, detached_and_cancelled_threads_leave_a_working_heap) {
    for (int i = 0; i < 100; ++i) {
        pthread_t thread;
        const auto body = [](void*) -> void* {
            for (;;) {
                put(get(200));
                pthread_testcancel();
            }
        };
        ASSERT_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
        if (i % 2 == 0) pthread_detach(thread);
        pthread_cancel(thread);
        if (i % 2 != 0) pthread_join(thread, nullptr);
    }
    use_malloc_thoroughly();
}

// ---- Small stacks

struct painted_stack {
    static constexpr std::size_t size = std::size_t{256} << 10;
    static constexpr unsigned char paint = 0xc7;
    unsigned char* low;

    painted_stack() {
        low = static_cast<unsigned char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
        std::memset(low, paint, size);
    }
    ~painted_stack() { munmap(low, size); }

    std::size_t used() const {
        std::size_t clean = 0;
        while (low[clean] == paint) ++clean;
        return size - clean;
    }
};

/// Bytes of stack that the body uses in a new thread, thread start included.
std::size_t stack_used_by(void* (*body)(void*)) {
    painted_stack stack;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    EXPECT_EQ(pthread_attr_setstack(&attributes, stack.low, painted_stack::size), 0);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, &attributes, body, nullptr), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    return stack.used();
}

void* do_nothing(void*) {
    return nullptr;
}

// First call of a thread, every class, large and huge, realloc across all of
// them, aligned, and enough frees to send magazines away.
void* take_every_path(void*) {
    static thread_local void* held[200];
    for (std::size_t size = 1; size < 16'000'000; size = size * 5 / 4 + 1) {
        for (auto& p : held) {
            p = opaque(std::malloc(opaque(size)));
            if (size > 100'000) break;
        }
        for (auto& p : held) {
            std::free(p);
            p = nullptr;
        }
        void* p = opaque(std::calloc(1, size));
        p = opaque(std::realloc(p, size * 2));
        p = opaque(std::realloc(p, size / 2 + 1));
        std::free(p);
        std::free(opaque(aligned_alloc(4096, size)));
    }
    malloc_trim(0);
    return nullptr;
}

TEST(threads, all_paths_together_need_less_than_2_kib_of_stack) {
    take_every_path(nullptr);  // symbols bound, tables built
    const std::size_t floor = stack_used_by(do_nothing);
    const std::size_t used = stack_used_by(take_every_path);
    const std::size_t ours = used > floor ? used - floor : 0;
    RecordProperty("stack_bytes", static_cast<int>(ours));
    std::printf("stack: %zu bytes beyond a thread that does nothing\n", ours);
    EXPECT_LT(ours, 2048u);
}

TEST(threads, the_smallest_stack_the_system_allows_is_enough) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes,
                                        static_cast<std::size_t>(sysconf(_SC_THREAD_STACK_MIN))),
              0);
    for (int i = 0; i < 20; ++i) {
        pthread_t thread;
        ASSERT_EQ(pthread_create(&thread, &attributes, take_every_path, nullptr), 0);
        ASSERT_EQ(pthread_join(thread, nullptr), 0);
    }
    pthread_attr_destroy(&attributes);
}

}  // namespace
