// own_operators.cpp - replaces the plain forms of new and delete, with a header
// in front of each object, and no others. The rest must go through these two.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace {
constexpr unsigned long seal = 0x57ead1;
struct header {
    unsigned long seal, size;
};
int live = 0, made = 0;
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
    auto* h = static_cast<header*>(std::malloc(size + sizeof(header)));
    if (h == nullptr) throw std::bad_alloc();
    *h = {seal, size};
    ++live, ++made;
    return h + 1;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsized-deallocation"  // leaving it out is the point
#endif
[[gnu::noinline]] void operator delete(void* p) noexcept {
    if (p == nullptr) return;
    auto* h = static_cast<header*>(p) - 1;
    if (h->seal != seal) std::abort();
    --live;
    std::free(h);
}

struct thrower {
    thrower() { throw 1; }
    char bytes[100];
};

int main() {
    int wrong = 0;
    const auto expect = [&](int count) {
        if (live != 0 || made != count)
            wrong = std::printf("live %d, made %d of %d\n", live, made, count);
        made = 0;
    };
    const auto launder = [](auto* p) {
        asm volatile("" : "+r"(p) : : "memory");
        return p;
    };
    made = live = 0;
    delete launder(new int);
    delete[] launder(new int[10]);
    ::operator delete (launder(::operator new(100)), std::size_t{100});
    ::operator delete[](launder(::operator new[](100)), std::size_t{100});
    expect(4);
    delete launder(new (std::nothrow) int);
    delete[] launder(new (std::nothrow) int[10]);
    ::operator delete(launder(::operator new(8, std::nothrow)), std::nothrow);
    ::operator delete[](launder(::operator new[](8, std::nothrow)), std::nothrow);
    expect(4);
    volatile std::size_t too_large = std::size_t{1} << 62;
    if (new (std::nothrow) char[too_large] != nullptr) wrong = 1;
    try {
        delete launder(new (std::nothrow) thrower);
    } catch (int) {
    }
    expect(1);
    for (int i = 0; i < 100; ++i)
        std::vector<int>(1000).swap(*std::make_unique<std::vector<int>>());
    expect(200);
    // Forms that do not stand on the replaced two keep working beside them.
    struct alignas(64) wide {
        char bytes[64];
    };
    delete launder(new wide);
    delete[] launder(new wide[4]);
    expect(0);
    if (wrong == 0) std::puts("fine");
    return wrong != 0;
}
