// everything.cpp - everything at once that programs do to a heap, for as long as
// the first argument says (seconds), with memory that notices when it is touched
// by somebody else.
//
//   churn      random malloc, calloc, aligned, new, realloc chains, free
//   exchange   frees what another thread allocated
//   spawn      threads whose thread_locals and key destructors allocate and free
//   load       dlopen and dlclose of a module that allocates
//   fork       children of the busy process that check what they inherited, use
//              the heap, start a thread and fork again
//   ask        malloc_trim, mallinfo2, malloc_usable_size
//
// Ten minutes on the heap under test, with its own checks on:
//   LD_PRELOAD=lib/libsteady_malloc.so STEADY_DEBUG=check=3 stress_everything 600
//
// A hang is a finding too: the process ends by SIGALRM a minute after its time.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "../block.hpp"

namespace {

using namespace stress;

std::atomic<bool> stop{false};
std::atomic<std::uint64_t> blocks_made{0}, blocks_exchanged{0}, threads_ended{0}, modules_loaded{0},
    children_ended{0}, destructors_run{0};

constexpr std::size_t slot_count = 512;
std::atomic<block*> exchange_slots[slot_count];

// ---- Work that everybody can do

void churn_for(random_source& random, int steps) {
    std::vector<block*> mine(100);
    for (int i = 0; i < steps; ++i) {
        block*& b = mine[random() % mine.size()];
        switch (b == nullptr ? 0 : random() % 3) {
            case 0:
                drop(b);
                b = make(random);
                break;
            case 1: b = resize(b, random); break;
            default: check(b, "overwritten while held");
        }
    }
    for (block* b : mine) drop(b);
    blocks_made += static_cast<std::uint64_t>(steps);
}

void exchange_for(random_source& random, int steps) {
    for (int i = 0; i < steps; ++i) {
        block* mine = random() % 4 == 0 ? nullptr : make(random);
        drop(exchange_slots[random() % slot_count].exchange(mine));
    }
    blocks_exchanged += static_cast<std::uint64_t>(steps);
}

// ---- Threads that end

pthread_key_t last_words;

void say_last_words(void* value) {
    drop(static_cast<block*>(value));
    random_source random(reinterpret_cast<std::uintptr_t>(value));
    churn_for(random, 20);
    ++destructors_run;
    // Comes back in the next round of destructors, when the heap's own has run.
    if (random() % 2 == 0) pthread_setspecific(last_words, make(random));
}

struct leaves_late {
    random_source random{std::random_device{}()};
    std::vector<block*> held;
    void use() {
        for (int i = 0; i < 10; ++i) held.push_back(make(random));
    }
    ~leaves_late() {
        for (block* b : held) drop(b);
        churn_for(random, 20);
        ++destructors_run;
    }
};
thread_local leaves_late late;

void short_life(std::uint64_t seed) {
    random_source random(seed);
    late.use();
    pthread_setspecific(last_words, make(random));
    churn_for(random, 200);
    exchange_for(random, 50);
}

// ---- Children

[[noreturn]] void child_life(std::uint64_t seed, const std::vector<block*>& inherited) {
    alarm(120);
    random_source random(seed);
    for (block* b : inherited) drop(b);
    churn_for(random, 300);
    std::thread([&] { short_life(seed + 1); }).join();
    if (seed % 4 == 0) {
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            churn_for(random, 100);
            _exit(0);
        }
        int status = 0;
        waitpid(grandchild, &status, 0);
        if (status != 0) _exit(2);
    }
    _exit(0);
}

// ---- The threads of the process

void churner(std::uint64_t seed) {
    random_source random(seed);
    while (!stop) {
        churn_for(random, 2000);
        exchange_for(random, 500);
    }
}

void spawner(std::uint64_t seed) {
    while (!stop) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i) threads.emplace_back(short_life, ++seed);
        for (auto& t : threads) t.join();
        threads_ended += 8;
    }
}

void loader(const std::string& module, unsigned seed) {
    while (!stop) {
        void* handle = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) fail(dlerror(), nullptr);
        const auto visit = reinterpret_cast<block* (*)(unsigned)>(dlsym(handle, "visit"));
        block* gift = visit(++seed);
        dlclose(handle);
        drop(gift);
        ++modules_loaded;
    }
}

void forker(std::uint64_t seed) {
    random_source random(seed);
    while (!stop) {
        std::vector<block*> inherited;
        for (int i = 0; i < 50; ++i) inherited.push_back(make(random));
        const pid_t child = fork();
        if (child == 0) child_life(random(), inherited);
        if (child < 0) fail("fork failed", nullptr);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) fail("a child hung", nullptr);
        if (status != 0) fail("a child failed", nullptr);
        for (block* b : inherited) drop(b);
        ++children_ended;
    }
}

void asker() {
    while (!stop) {
        const struct mallinfo2 now = mallinfo2();
        if (now.uordblks > now.arena) fail("mallinfo2 counts more in use than there is", nullptr);
        malloc_trim(0);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

}  // namespace

int main(int count, char** words) {
    const unsigned seconds = count > 1 ? static_cast<unsigned>(std::atoi(words[1])) : 10;
    const std::string module = count > 2 ? words[2] : STRESS_MODULE;
    if (seconds == 0) {
        std::fprintf(stderr, "usage: %s SECONDS [MODULE]\n", words[0]);
        return 2;
    }
    alarm(seconds + 60);
    pthread_key_create(&last_words, say_last_words);
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 3; ++i) threads.emplace_back(churner, i);
    threads.emplace_back(spawner, 1000);
    threads.emplace_back(loader, module, 1);
    threads.emplace_back(forker, 5);
    threads.emplace_back(asker);
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    stop = true;
    for (auto& t : threads) t.join();
    for (auto& slot : exchange_slots) drop(slot.exchange(nullptr));

    const struct {
        const char* what;
        std::uint64_t times;
    } lines[] = {{"blocks made", blocks_made},       {"blocks exchanged", blocks_exchanged},
                 {"threads ended", threads_ended},   {"destructors run", destructors_run},
                 {"modules loaded", modules_loaded}, {"children ended", children_ended}};
    int idle = 0;
    for (const auto& line : lines) {
        std::printf("%12llu %s\n", static_cast<unsigned long long>(line.times), line.what);
        if (line.times == 0) ++idle;  // or the run proved nothing about it
    }
    if (idle != 0) std::fprintf(stderr, "stress: some kinds of work never ran\n");
    return idle != 0;
}
