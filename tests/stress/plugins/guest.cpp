// guest.cpp - a module that allocates when it is loaded, in thread-local
// destructors, and when it is unloaded.
#include <unistd.h>

#include "../block.hpp"

namespace {

struct held_by_module {
    stress::random_source random{42};
    stress::block* blocks[50];
    held_by_module() {
        for (auto& b : blocks) b = stress::make(random);
    }
    ~held_by_module() {
        for (auto* b : blocks) stress::drop(b);
    }
};
held_by_module held;

}  // namespace

/// Returns a block that the caller frees, after using some of its own.
extern "C" stress::block* visit(unsigned seed) {
    stress::random_source random(seed);
    stress::block* mine[20];
    for (auto& b : mine) b = stress::make(random);
    for (auto& b : mine) b = stress::resize(b, random);
    for (auto* b : mine) stress::drop(b);
    for (auto* b : held.blocks) stress::check(b, "the module's own block was overwritten");
    return stress::make(random);
}
