// keeps.cpp - a program with steady inside, its slices and its heap: it keeps a small piece of
// a large array, then waits until stdin ends.
#include <cstdio>

#include <unistd.h>

#include "steady/slice/slice.hpp"

namespace {

[[gnu::noinline]] steady::slice<char> keep_a_piece(std::ptrdiff_t of) {
    const steady::slice<char> all = steady::slice<char>::make(of, of);
    return all.sub(0, 16);
}

}  // namespace

int main() {
    const steady::slice<char> piece = keep_a_piece(1 << 20);
    std::puts("ready");
    std::fflush(stdout);
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    return piece.len() == 16 ? 0 : 1;
}
