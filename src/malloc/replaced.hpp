// replaced.hpp - programs that bring some of the family themselves.
//
// C++ lets a program replace single forms of operator new and delete. The others
// must then behave as if they called the replaced ones:
//
//   new[] -> new              delete(p, size) -> delete(p)         and the same for the
//   new(nothrow) -> new       delete[](p) -> delete(p)             aligned forms
//   new[](nothrow) -> new[]   delete[](p, size) -> delete[](p)
//
// A program that puts a header in front of each object in its own new and delete
// would otherwise crash here: its compiler calls delete with the size, which it
// has not replaced, and the heap would get a pointer that is not its own.
//
// So the library looks once, when it is ready, where the loader has bound the
// forms that others stand on. If all of them are ours, every form goes straight
// to the heap. If one is not, the dependent forms follow the arrows above.
//
// Cost    nothing for new: the dependent forms compare the size with a limit of
//         their own, which stays 0. Two instructions for delete.
// Tried   Following the arrows always, as libstdc++ does: one or two indirect
//         jumps for every sized delete, and no size to compare with the truth.
#pragma once

#include <cstddef>
#include <new>

#include "early.hpp"

namespace steady::detail {

/// small_limit for the forms that depend on others; 0 while those may be replaced.
extern STEADY_HIDDEN std::size_t dependent_limit;
/// True when every form that others stand on is ours.
extern STEADY_HIDDEN bool all_operators_are_ours;

/// Looks, and sets the two. Called once, by ready().
void find_replaced_operators() noexcept;

/// False when the program, or a library before this one, has a malloc of its own.
[[nodiscard]] bool malloc_is_ours() noexcept;

// Calls to the forms as the loader has bound them, which reach a program's own.
[[nodiscard]] void* bound_new(std::size_t size);
[[nodiscard]] void* bound_new_aligned(std::size_t size, std::align_val_t alignment);
void bound_delete(void* p) noexcept;
void bound_delete_array(void* p) noexcept;
void bound_delete_aligned(void* p, std::align_val_t alignment) noexcept;
void bound_delete_array_aligned(void* p, std::align_val_t alignment) noexcept;
/// realloc, for reallocarray: a program may bring malloc, calloc, realloc and
/// free, and nothing else.
[[nodiscard]] void* bound_realloc(void* p, std::size_t size) noexcept;

}  // namespace steady::detail
