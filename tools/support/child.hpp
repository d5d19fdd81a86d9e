// child.hpp - runs a function in a fresh child process and brings its result home.
//
//   parent                              child
//     fork ------------------------------> work(result)
//     poll, read  <------- pipe ---------- write(result)
//     waitpid     <------------------------ _exit(0)
//
// Why a process: resident memory and page faults belong to a process, and a
// heap that has already been used answers differently from a fresh one. After
// fork the child has the parent's input in memory without reading it again.
//
// The result crosses a pipe as plain bytes, so it must be trivially copyable;
// parent and child are the same binary, so their layouts agree.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <type_traits>

namespace steady::cli {

/// The untyped core of run_in_child(): `work` runs in the child and its
/// `size` bytes at `result` are carried into the parent's `result`.
void run_bytes_in_child(const std::string& name, void* result, std::size_t size,
                        const std::function<void()>& work);

/// Runs `work(result)` in a child; afterwards `result` holds what the child left in it.
///
/// Throws     check_failure naming `name` when the child threw, crashed or was
///            killed; stopped_by_signal on Ctrl-C, after the child is gone.
/// Threads    call from a single-threaded process: a fork copies one thread.
template <class Result, class Work>
void run_in_child(const std::string& name, Result& result, Work&& work) {
    static_assert(std::is_trivially_copyable_v<Result>, "the result crosses a pipe as bytes");
    run_bytes_in_child(name, &result, sizeof result, [&] { work(result); });
}

}  // namespace steady::cli
