// replaced.cpp - see replaced.hpp.
//
// The names that C++ and C give the functions would not do here: a compiler may
// bind or inline a call to a function that it has just seen. So this file knows
// the exported functions only as symbols, and the library's own only as hidden
// second names of theirs.
#include "replaced.hpp"

#include "family.hpp"

extern "C" {
void* public_new(std::size_t) asm("_Znwm");
void* public_new_array(std::size_t) asm("_Znam");
void* public_new_aligned(std::size_t, std::align_val_t) asm("_ZnwmSt11align_val_t");
void* public_new_array_aligned(std::size_t, std::align_val_t) asm("_ZnamSt11align_val_t");
void public_delete(void*) asm("_ZdlPv");
void public_delete_array(void*) asm("_ZdaPv");
void public_delete_aligned(void*, std::align_val_t) asm("_ZdlPvSt11align_val_t");
void public_delete_array_aligned(void*, std::align_val_t) asm("_ZdaPvSt11align_val_t");
void* public_malloc(std::size_t) asm("malloc");
void* public_realloc(void*, std::size_t) asm("realloc");

STEADY_HIDDEN void steady_own_new();
STEADY_HIDDEN void steady_own_new_array();
STEADY_HIDDEN void steady_own_new_aligned();
STEADY_HIDDEN void steady_own_new_array_aligned();
STEADY_HIDDEN void steady_own_delete();
STEADY_HIDDEN void steady_own_delete_array();
STEADY_HIDDEN void steady_own_delete_aligned();
STEADY_HIDDEN void steady_own_delete_array_aligned();
STEADY_HIDDEN void* steady_own_malloc(std::size_t);
}

namespace steady::detail {

constinit std::size_t dependent_limit = 0;
constinit bool all_operators_are_ours = false;

namespace {

struct binding {
    const volatile void* bound;
    const volatile void* ours;
};

template <class Bound, class Ours>
binding pair(Bound* bound, Ours* ours) noexcept {
    binding b{reinterpret_cast<const volatile void*>(bound),
              reinterpret_cast<const volatile void*>(ours)};
    // The compiler believes that two names are two functions.
    asm volatile("" : "+r"(b.bound), "+r"(b.ours));
    return b;
}

bool same(binding b) noexcept {
    return b.bound == b.ours;
}

}  // namespace

void find_replaced_operators() noexcept {
    all_operators_are_ours =
        same(pair(public_new, steady_own_new)) &&
        same(pair(public_new_array, steady_own_new_array)) &&
        same(pair(public_new_aligned, steady_own_new_aligned)) &&
        same(pair(public_new_array_aligned, steady_own_new_array_aligned)) &&
        same(pair(public_delete, steady_own_delete)) &&
        same(pair(public_delete_array, steady_own_delete_array)) &&
        same(pair(public_delete_aligned, steady_own_delete_aligned)) &&
        same(pair(public_delete_array_aligned, steady_own_delete_array_aligned));
    if (all_operators_are_ours) dependent_limit = small_limit;
}

bool malloc_is_ours() noexcept {
    return same(pair(public_malloc, steady_own_malloc));
}

void* bound_new(std::size_t size) {
    return public_new(size);
}
void* bound_new_aligned(std::size_t size, std::align_val_t alignment) {
    return public_new_aligned(size, alignment);
}
void bound_delete(void* p) noexcept {
    public_delete(p);
}
void bound_delete_array(void* p) noexcept {
    public_delete_array(p);
}
void bound_delete_aligned(void* p, std::align_val_t alignment) noexcept {
    public_delete_aligned(p, alignment);
}
void bound_delete_array_aligned(void* p, std::align_val_t alignment) noexcept {
    public_delete_array_aligned(p, alignment);
}
void* bound_realloc(void* p, std::size_t size) noexcept {
    return public_realloc(p, size);
}

}  // namespace steady::detail
