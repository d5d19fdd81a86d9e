// grows.cpp - a program that uses steady's header-only containers and labels and knows no
// profiler: it grows a map, keeps a labelled block, then waits until stdin ends.
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "steady/map/map.hpp"
#include "steady/profile/label.hpp"

namespace {

[[gnu::noinline]] void grow_a_map(steady::map<int, int>& m, int count) {
    for (int i = 0; i < count; ++i) m.insert({i, i});
}

[[gnu::noinline]] void* keep_labelled(std::size_t size) {
    const steady::profile::label_scope route("route", "/search");
    void* p = std::malloc(size);
    asm volatile("" : : "r"(p) : "memory");
    return p;
}

}  // namespace

int main() {
    steady::map<int, int> grown;
    grow_a_map(grown, 100'000);
    void* kept = keep_labelled(3000);
    std::puts("ready");
    std::fflush(stdout);
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    std::free(kept);
    return grown.size() == 100'000 ? 0 : 1;
}
