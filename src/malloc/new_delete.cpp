// new_delete.cpp - the 20 replaceable forms of operator new and delete.
//
//   new     x {one, array} x {throwing, nothrow} x {plain, aligned}          8
//   delete  x {one, array} x {plain, nothrow}    x {plain, aligned}          8
//   delete  x {one, array} x {sized}             x {plain, aligned}          4
//
// The library must not need a C++ runtime: it is loaded into C programs too. So
// it can neither throw std::bad_alloc nor ask for the new handler. It hands a
// failed allocation to the form of operator new that would have been called
// without it, the C++ runtime's own:
//
//   new(size) --no memory--> the runtime's new(size) --> malloc, which is ours: no memory
//                                    ^                        |
//                                    +--- new handler <-------+---> throw std::bad_alloc
//
// The jump leaves no frame of ours behind, so the exception passes through none.
// What happens when a program brings some of the forms itself is in replaced.hpp.
//
// Which runtime: the next one in the order of loading, or, when a plugin brought
// its own (a Python extension is loaded with RTLD_LOCAL), any that is in memory.
// A program with a runtime linked into it never comes here; its own operator new
// wins and calls our malloc.
//
// Invariants (tests/malloc/preload/operators_test.cpp)
//   N1  A throwing form does not return nullptr.
//   N2  Every form, nothrow ones too, calls the new handler until it gives up.
#include <atomic>
#include <dlfcn.h>
#include <new>

#include "family.hpp"
#include "replaced.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/units.hpp"

namespace steady::detail {

namespace {

// Of the forms that stand on others. Before ready() nobody knows, and early memory
// is the answer to everything.
bool straight_to_the_heap() noexcept {
    return all_operators_are_ours || !ready();
}

[[gnu::always_inline]] inline void* pop_dependent(std::size_t size) noexcept {
    return pop_small(size, dependent_limit);
}

struct operator_form {
    const char* name;  // mangled, for 64-bit machines
    bool throws;
    std::atomic<void*> next{nullptr};  // the runtime's; relaxed, since every thread finds the same
};

constinit operator_form new_one{"_Znwm", true};
constinit operator_form new_array{"_Znam", true};
constinit operator_form new_one_nothrow{"_ZnwmRKSt9nothrow_t", false};
constinit operator_form new_array_nothrow{"_ZnamRKSt9nothrow_t", false};
constinit operator_form new_one_aligned{"_ZnwmSt11align_val_t", true};
constinit operator_form new_array_aligned{"_ZnamSt11align_val_t", true};
constinit operator_form new_one_aligned_nothrow{"_ZnwmSt11align_val_tRKSt9nothrow_t", false};
constinit operator_form new_array_aligned_nothrow{"_ZnamSt11align_val_tRKSt9nothrow_t", false};

void* find_in_loaded_runtime(const char* name) noexcept {
    for (const char* runtime : {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"}) {
        void* library = dlopen(runtime, RTLD_LAZY | RTLD_NOLOAD);
        if (library == nullptr) continue;
        void* found = dlsym(library, name);
        dlclose(library);  // takes back our reference only: it was loaded before
        if (found != nullptr) return found;
    }
    return nullptr;
}

[[noreturn]] STEADY_SLOW void report_no_runtime(std::size_t size) noexcept {
    fatal(message("malloc")
              .text("operator new could not get ")
              .size(bytes{size})
              .text(", and no C++ runtime is loaded that could throw std::bad_alloc.")
              .line("Expected libstdc++.so.6 or libc++.so.1 in the process, since it uses C++.")
              .line("Give it more memory, or link the C++ runtime dynamically."));
}

// Returns the runtime's own form, or nullptr for a nothrow form without a runtime.
void* next_operator(operator_form& form, std::size_t size) noexcept {
    void* next = form.next.load(std::memory_order_relaxed);
    if (next != nullptr) return next;
    next = dlsym(RTLD_NEXT, form.name);
    if (next == nullptr) next = find_in_loaded_runtime(form.name);
    if (next == nullptr && form.throws) report_no_runtime(size);
    form.next.store(next, std::memory_order_relaxed);
    return next;
}

STEADY_SLOW void* new_slow(std::size_t size, operator_form& form) {
    if (void* p = allocate_or_null(size)) return p;
    using function = void* (*)(std::size_t);
    return reinterpret_cast<function>(next_operator(form, size))(size);
}

STEADY_SLOW void* new_array_slow(std::size_t size) {
    return straight_to_the_heap() ? new_slow(size, new_array) : bound_new(size);
}

// The runtime's nothrow forms catch what the throwing form throws, which is also
// what they must do when that form is the program's.
STEADY_SLOW void* new_nothrow_slow(std::size_t size, const std::nothrow_t& tag,
                                   operator_form& form) noexcept {
    if (straight_to_the_heap()) {
        if (void* p = allocate_or_null(size)) return p;
    }
    using function = void* (*)(std::size_t, const std::nothrow_t&);
    void* next = next_operator(form, size);
    return next != nullptr ? reinterpret_cast<function>(next)(size, tag) : nullptr;
}

void* new_aligned(std::size_t size, std::align_val_t alignment, operator_form& form) {
    if (void* p = allocate_aligned_or_null(size, static_cast<std::size_t>(alignment))) return p;
    using function = void* (*)(std::size_t, std::align_val_t);
    return reinterpret_cast<function>(next_operator(form, size))(size, alignment);
}

void* new_aligned_nothrow(std::size_t size, std::align_val_t alignment, const std::nothrow_t& tag,
                          operator_form& form) noexcept {
    if (straight_to_the_heap()) {
        if (void* p = allocate_aligned_or_null(size, static_cast<std::size_t>(alignment))) return p;
    }
    using function = void* (*)(std::size_t, std::align_val_t, const std::nothrow_t&);
    void* next = next_operator(form, size);
    return next != nullptr ? reinterpret_cast<function>(next)(size, alignment, tag) : nullptr;
}

}  // namespace

}  // namespace steady::detail

namespace sd = steady::detail;

// ---- new

STEADY_OPERATOR void* operator new(std::size_t size) {
    if (void* p = sd::pop_small(size)) [[likely]]
        return p;
    return sd::new_slow(size, sd::new_one);
}

STEADY_OPERATOR void* operator new[](std::size_t size) {
    if (void* p = sd::pop_dependent(size)) [[likely]]
        return p;
    return sd::new_array_slow(size);
}

STEADY_OPERATOR void* operator new(std::size_t size, const std::nothrow_t& tag) noexcept {
    if (void* p = sd::pop_dependent(size)) [[likely]]
        return p;
    return sd::new_nothrow_slow(size, tag, sd::new_one_nothrow);
}

STEADY_OPERATOR void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
    if (void* p = sd::pop_dependent(size)) [[likely]]
        return p;
    return sd::new_nothrow_slow(size, tag, sd::new_array_nothrow);
}

STEADY_OPERATOR void* operator new(std::size_t size, std::align_val_t alignment) {
    return sd::new_aligned(size, alignment, sd::new_one_aligned);
}

STEADY_OPERATOR void* operator new[](std::size_t size, std::align_val_t alignment) {
    if (!sd::straight_to_the_heap()) [[unlikely]]
        return sd::bound_new_aligned(size, alignment);
    return sd::new_aligned(size, alignment, sd::new_array_aligned);
}

STEADY_OPERATOR void* operator new(std::size_t size, std::align_val_t alignment,
                                   const std::nothrow_t& tag) noexcept {
    return sd::new_aligned_nothrow(size, alignment, tag, sd::new_one_aligned_nothrow);
}

STEADY_OPERATOR void* operator new[](std::size_t size, std::align_val_t alignment,
                                     const std::nothrow_t& tag) noexcept {
    return sd::new_aligned_nothrow(size, alignment, tag, sd::new_array_aligned_nothrow);
}

// ---- delete

STEADY_OPERATOR void operator delete(void* p) noexcept {
    if (sd::push(p)) [[likely]]
        return;
    sd::free_slow(p);
}

STEADY_OPERATOR void operator delete(void* p, std::align_val_t) noexcept {
    if (sd::push(p)) [[likely]]
        return;
    sd::free_slow(p);
}

STEADY_OPERATOR void operator delete(void* p, std::size_t size) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete(p);
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size);
}

STEADY_OPERATOR void operator delete[](void* p, std::size_t size) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete_array(p);
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size);
}

STEADY_OPERATOR void operator delete(void* p, std::size_t size,
                                     std::align_val_t alignment) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete_aligned(p, alignment);
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size, static_cast<std::size_t>(alignment));
}

STEADY_OPERATOR void operator delete[](void* p, std::size_t size,
                                       std::align_val_t alignment) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete_array_aligned(p, alignment);
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size, static_cast<std::size_t>(alignment));
}

STEADY_OPERATOR void operator delete[](void* p) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete(p);
    if (sd::push(p)) [[likely]]
        return;
    sd::free_slow(p);
}

STEADY_OPERATOR void operator delete(void* p, const std::nothrow_t&) noexcept {
    sd::bound_delete(p);  // called only when a constructor throws: not worth a fast half
}

STEADY_OPERATOR void operator delete[](void* p, const std::nothrow_t&) noexcept {
    sd::bound_delete_array(p);
}

STEADY_OPERATOR void operator delete[](void* p, std::align_val_t alignment) noexcept {
    if (!sd::all_operators_are_ours) [[unlikely]]
        return sd::bound_delete_aligned(p, alignment);
    if (sd::push(p)) [[likely]]
        return;
    sd::free_slow(p);
}

STEADY_OPERATOR void operator delete(void* p, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
    sd::bound_delete_aligned(p, alignment);
}

STEADY_OPERATOR void operator delete[](void* p, std::align_val_t alignment,
                                       const std::nothrow_t&) noexcept {
    sd::bound_delete_array_aligned(p, alignment);
}

// Our own addresses of the forms that others stand on, whatever the loader binds.
#define STEADY_OWN(name, form) \
    extern "C" [[gnu::visibility("hidden"), gnu::alias(form)]] void name()
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wattribute-alias"  // only their addresses are used
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif
STEADY_OWN(steady_own_new, "_Znwm");
STEADY_OWN(steady_own_new_array, "_Znam");
STEADY_OWN(steady_own_new_aligned, "_ZnwmSt11align_val_t");
STEADY_OWN(steady_own_new_array_aligned, "_ZnamSt11align_val_t");
STEADY_OWN(steady_own_delete, "_ZdlPv");
STEADY_OWN(steady_own_delete_array, "_ZdaPv");
STEADY_OWN(steady_own_delete_aligned, "_ZdlPvSt11align_val_t");
STEADY_OWN(steady_own_delete_array_aligned, "_ZdaPvSt11align_val_t");
