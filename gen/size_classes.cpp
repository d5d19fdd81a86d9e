// size_classes.cpp - prints include/steady/heap/size_classes.gen.hpp: the sizes
// small objects are rounded up to, and the spans that hold them.
//
// Terms   class: one size; class 0 stands for large objects.
//         span: a run of 8 KiB pages cut into objects of one class.
//         tail: what is left at the end of a span.
//
// The rules are Go's (runtime/mksizeclasses.go, 1.5 to today); a test compares
// the outcome with a dump of the real runtime. Why they are what they are:
//
//   1. Candidate sizes go up in steps of 8, from 32 on of 16, from 128 on of
//      size/8 (a new step at each power of two), from 2048 on of 256. Steps of
//      an eighth keep the loss by rounding up near 12.5 %.
//   2. A span grows by pages until its tail is at most 1/8 of it.
//   3. A candidate with the same pages and the same number of objects as the one
//      before replaces it: the larger size costs nothing.
//   4. Last, each size is raised as far as its tail allows, in steps of 128, so
//      that the table with 128-byte steps still finds every class.
//
// Which object does an offset lie in? offset / size, thousands of times per
// millisecond: a multiplication by ceil(2^32 / size) and a shift. It is exact for
// every offset of a span or it is not written: divmul_of() tries them all.

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "steady/core/units.hpp"

namespace {

constexpr unsigned max_small = 32 << 10;
constexpr unsigned page = steady::page_size.count();
constexpr unsigned fine_step = 8, fine_end = 1024;  // sizes up to 1024 in steps of 8,
constexpr unsigned coarse_step = 128;               // larger ones in steps of 128
constexpr unsigned malloc_alignment = 16;           // alignof(std::max_align_t)

struct size_class {
    unsigned size = 0;
    unsigned pages = 0;

    unsigned span() const { return pages * page; }
    unsigned objects() const { return span() / size; }
    unsigned tail() const { return span() - objects() * size; }
};

/// The step to the candidate after `size`; changes at powers of two only (rule 1).
unsigned step_after(unsigned size, unsigned step) {
    if (!std::has_single_bit(size)) return step;
    if (size >= 2048) return 256;
    if (size >= 128) return size / 8;
    if (size >= 32) return 16;
    return step;
}

std::vector<size_class> make_classes() {
    std::vector<size_class> classes(1);
    unsigned step = 8;
    for (unsigned size = step; size <= max_small; size += step) {
        step = step_after(size, step);
        size_class c{size, 1};
        while (c.tail() > c.span() / 8) ++c.pages;  // rule 2
        const size_class& before = classes.back();
        if (before.size != 0 && before.pages == c.pages && before.objects() == c.objects()) {
            classes.back() = c;  // rule 3
        } else {
            classes.push_back(c);
        }
    }
    for (std::size_t i = 1; i < classes.size(); ++i) {  // rule 4
        size_class& c = classes[i];
        const unsigned roomy = c.span() / c.objects() / coarse_step * coarse_step;
        if (roomy > c.size) c.size = roomy;
    }
    return classes;
}

/// ceil(2^32 / size), once every offset of the span has been tried.
std::uint32_t divmul_of(const size_class& c) {
    const std::uint32_t divmul = ~0u / c.size + 1;
    for (std::uint64_t offset = 0; offset <= c.span(); ++offset) {
        const std::uint64_t quotient = offset * divmul >> 32;
        if (quotient != offset / c.size) {
            std::fprintf(stderr,
                         "gen: size %u: offset %llu lies in object %llu, but the reciprocal %u "
                         "says %llu.\n  32 bits are not precise enough for this class; nothing "
                         "was written.\n",
                         c.size, static_cast<unsigned long long>(offset),
                         static_cast<unsigned long long>(offset / c.size), divmul,
                         static_cast<unsigned long long>(quotient));
            std::exit(1);
        }
    }
    return divmul;
}

/// The first class that holds `size` bytes; with `alignment`, the first whose
/// objects are all aligned to it (spans begin at page boundaries).
unsigned class_for(const std::vector<size_class>& classes, unsigned size, unsigned alignment) {
    unsigned i = 0;
    while (classes[i].size < size || classes[i].size % alignment != 0) ++i;
    return i;
}

template <class Value>
void print_array(const char* type, const char* name, std::size_t count, int width, int per_line,
                 Value value) {
    std::printf("inline constexpr std::%s %s[%zu] = {", type, name, count);
    for (std::size_t i = 0; i < count; ++i) {
        const bool new_line = i % static_cast<std::size_t>(per_line) == 0;
        std::printf("%s%*u,", new_line ? "\n    " : " ", width, value(i));
    }
    std::puts("\n};");
}

constexpr const char* opening =
    R"(// size_classes.gen.hpp - the sizes small objects are rounded up to.
//
// Written by gen/size_classes.cpp. To change it: cmake --build build -t regen
//
// A span of `span` bytes is cut into `objects` objects; `tail waste` bytes are left
// at its end. `worst waste` is what a span full of the smallest objects of its class
// loses, rounding and tail together.
//
// class   object      span   objects   tail waste   worst waste
)";

constexpr const char* tables_begin = R"(
#pragma once

#include <cstddef>
#include <cstdint>

namespace steady {

// clang-format off

inline constexpr std::size_t class_count = %zu;         // class 0 is for large objects
inline constexpr std::size_t max_small_size = %u;  // larger ones get spans of their own

)";

constexpr const char* functions = R"(
// clang-format on

/// The class of objects of `size` bytes, as Go chooses it: objects of 24 bytes
/// exist, aligned to 8.
///
/// Returns    1..67, or 0 for size 0. size <= max_small_size.
[[nodiscard]] constexpr unsigned size_class_of(std::size_t size) noexcept {
    return size <= 1024 - 8 ? size_to_class8[(size + 7) / 8]
                            : size_to_class128[(size - 1024 + 127) / 128];
}

/// The class for malloc, which aligns everything above 8 bytes to 16: 17..32 bytes
/// become 32.
///
/// Returns    1..67, or 0 for size 0. size <= max_small_size.
[[nodiscard]] constexpr unsigned malloc_class_of(std::size_t size) noexcept {
    return size <= 1024 - 8 ? malloc_class8[(size + 7) / 8]
                            : size_to_class128[(size - 1024 + 127) / 128];
}

/// The object an offset into a span lies in, without a division. Exact for every
/// offset of the class's span.
[[nodiscard]] constexpr std::size_t object_index(std::size_t offset, unsigned size_class) noexcept {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(offset) * class_divmul[size_class] >>
                                    32);
}

/// What an allocation of `size` bytes occupies: Go's roundupsize. Large sizes
/// become whole pages; one so large that it would wrap stays as it is.
[[nodiscard]] constexpr std::size_t round_up_size(std::size_t size) noexcept {
    if (size <= max_small_size) return class_size[size_class_of(size)];
    const std::size_t pages_end = size + 8191;
    return pages_end < size ? size : pages_end & ~std::size_t{8191};
}

static_assert(class_size[class_count - 1] == max_small_size, "the last class ends small objects");
static_assert(class_size[malloc_class8[24 / 8]] == 32, "malloc(24) is aligned to 16");
static_assert(round_up_size(1025) == 1152 && round_up_size(32769) == 40960, "Go's roundupsize");

}  // namespace steady
)";

}  // namespace

int main() {
    const std::vector<size_class> classes = make_classes();

    std::fputs(opening, stdout);
    for (std::size_t i = 1; i < classes.size(); ++i) {
        const size_class& c = classes[i];
        const unsigned smallest = classes[i - 1].size + 1;
        const double worst = 100.0 * ((c.size - smallest) * c.objects() + c.tail()) / c.span();
        std::printf("//%6zu %6u B  %4u KiB   %7u   %8u B   %10.2f%%\n", i, c.size, c.span() / 1024,
                    c.objects(), c.tail(), worst);
    }

    std::printf(tables_begin, classes.size(), max_small);
    print_array("uint16_t", "class_size", classes.size(), 5, 12,
                [&](std::size_t i) { return classes[i].size; });
    print_array("uint8_t", "class_pages", classes.size(), 2, 20,
                [&](std::size_t i) { return classes[i].pages; });
    print_array("uint16_t", "class_objects", classes.size(), 4, 16,
                [&](std::size_t i) { return i == 0 ? 0 : classes[i].objects(); });
    std::puts("// ceil(2^32 / size): object = offset * divmul >> 32, tried for every offset.");
    print_array("uint32_t", "class_divmul", classes.size(), 9, 8,
                [&](std::size_t i) { return i == 0 ? 0 : divmul_of(classes[i]); });
    std::puts("// Index (size + 7) / 8, for sizes up to 1024.");
    print_array("uint8_t", "size_to_class8", fine_end / fine_step + 1, 2, 20, [&](std::size_t i) {
        return class_for(classes, static_cast<unsigned>(i) * fine_step, fine_step);
    });
    std::puts("// The same where 9 bytes and more are aligned to 16: class 3 (24 B) is left out.");
    print_array("uint8_t", "malloc_class8", fine_end / fine_step + 1, 2, 20, [&](std::size_t i) {
        return class_for(classes, static_cast<unsigned>(i) * fine_step,
                         i <= 1 ? fine_step : malloc_alignment);
    });
    std::puts("// Index (size - 1024 + 127) / 128, for larger ones.");
    print_array("uint8_t", "size_to_class128", (max_small - fine_end) / coarse_step + 1, 2, 20,
                [&](std::size_t i) {
                    return class_for(classes, fine_end + static_cast<unsigned>(i) * coarse_step,
                                     malloc_alignment);
                });
    std::fputs(functions, stdout);
}
