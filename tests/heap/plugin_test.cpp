// plugin_test.cpp - dlclose of a plugin that has the heap inside.
//
// Two things of the heap outlast the last call into it: its background thread, and the
// destructor that empties a thread's cache when that thread ends, perhaps much later.
// Both are code of the plugin, so it must stay mapped (-z nodelete).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>

#include <dlfcn.h>

namespace {

const std::string path = STEADY_TEST_PROGRAMS "/heap_closed.so";

struct plugin {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void (*allocate_and_free)(std::size_t) = nullptr;

    plugin() {
        if (handle == nullptr) {
            ADD_FAILURE() << dlerror();
            std::abort();
        }
        allocate_and_free =
            reinterpret_cast<void (*)(std::size_t)>(dlsym(handle, "allocate_and_free"));
    }
    void close() const { EXPECT_EQ(dlclose(handle), 0); }
};

TEST(Plugin, ItsBackgroundThreadOutlivesTheClosing) {
    const plugin loaded;
    loaded.allocate_and_free(64 << 20);  // enough idle memory for a scavenger
    loaded.close();
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // it works on, tick by tick
    void* const still = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    EXPECT_NE(still, nullptr) << "the plugin was unmapped below a running thread";
}

TEST(Plugin, AThreadThatUsedItMayEndAfterTheClosing) {
    const plugin loaded;
    std::promise<void> used, closed;
    std::thread worker([&] {
        loaded.allocate_and_free(100);  // the thread has a cache now
        used.set_value();
        closed.get_future().wait();
    });
    used.get_future().wait();
    loaded.close();
    closed.set_value();
    worker.join();  // runs the destructor of its cache
}

}  // namespace
