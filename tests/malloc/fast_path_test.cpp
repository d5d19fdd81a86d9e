// fast_path_test.cpp - the instructions that one call executes when a magazine
// serves it, counted by stepping through the real function in a child, and
// compared with fast_path.txt, so that a stray branch shows in review.
//
// Counted, not timed, and executed, not printed: the count does not depend on
// how the compiler arranged the cold parts.
#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <new>
#include <sstream>
#include <string>

#include "steady/core/check.hpp"

namespace {

constexpr int tolerance = 1;  // a branch is two instructions: the comparison and the jump

#if defined(__x86_64__)
const std::string machine = "x86-64";
#elif defined(__aarch64__)
const std::string machine = "aarch64";
#endif
#if defined(__clang__)
const std::string compiler = "clang-" + std::to_string(__clang_major__);
#else
const std::string compiler = "gcc-" + std::to_string(__GNUC__);
#endif

/// Where libsteady_malloc.so's code is.
struct code_range {
    std::uintptr_t from = 0, to = 0;
    bool contains(std::uintptr_t address) const { return address >= from && address < to; }
};

code_range code_of_library() {
    code_range range;
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* found) {
            if (std::string(object->dlpi_name).find("libsteady_malloc") == std::string::npos)
                return 0;
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& segment = object->dlpi_phdr[i];
                if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
                const std::uintptr_t from = object->dlpi_addr + segment.p_vaddr;
                *static_cast<code_range*>(found) = {from, from + segment.p_memsz};
            }
            return 1;
        },
        &range);
    return range;
}

std::uintptr_t program_counter(pid_t child) {
    user_regs_struct registers{};
    iovec where{&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &where) != 0) return 0;
#if defined(__x86_64__)
    return registers.rip;
#else
    return registers.pc;
#endif
}

/// Steps a child through `call` and counts its instructions in the library, from
/// the first one until it leaves. Returns -1 when this system does not allow it.
int instructions_of(const std::function<void()>& prepare, const std::function<void()>& call) {
    const code_range library = code_of_library();
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
        prepare();
        raise(SIGSTOP);
        call();
        _exit(0);
    }
    int status = 0;
    int count = 0;
    waitpid(child, &status, 0);
    bool entered = false;
    while (WIFSTOPPED(status)) {
        const bool inside = library.contains(program_counter(child));
        if (entered && !inside) break;
        entered = inside;
        count += inside;
        if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
        waitpid(child, &status, 0);
    }
    const bool traced = WIFSTOPPED(status);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return traced && entered ? count : -1;
}

// Pointers that the compiler does not see through, so that no call is inlined,
// removed or bound lazily.
using allocate_function = void* (*volatile)(std::size_t);
using free_function = void (*volatile)(void*);
using sized_free_function = void (*volatile)(void*, std::size_t);
allocate_function call_malloc = std::malloc;
free_function call_free = std::free;
allocate_function call_new = ::operator new;
free_function call_delete = ::operator delete;
// By name: clang declares this form only with -fsized-deallocation.
sized_free_function call_sized_delete =
    reinterpret_cast<void (*)(void*, std::size_t)>(dlsym(RTLD_DEFAULT, "_ZdlPvm"));

constexpr std::size_t size = 48;
void* held[4];

// Both magazines of the class exist, and neither is full or empty.
void fill_magazines() {
    for (void*& p : held) p = call_malloc(size);
    call_free(held[0]);
}

std::map<std::string, int> recorded() {
    std::map<std::string, int> counts;
    std::ifstream file(STEADY_SOURCE_DIR "/tests/malloc/fast_path.txt");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string on, by, name;
        int count = 0;
        if (words >> on >> by >> name >> count && on == machine && by == compiler)
            counts[name] = count;
    }
    return counts;
}

void compare(const std::string& name, const std::function<void()>& call) {
    const int count = instructions_of(fill_magazines, call);
    if (count < 0) GTEST_SKIP() << "this system does not let a process trace its child";
    std::printf("%s %s %s %d\n", machine.c_str(), compiler.c_str(), name.c_str(), count);
    const auto counts = recorded();
    const auto found = counts.find(name);
    if (found == counts.end())
        GTEST_SKIP() << "fast_path.txt has no line for this machine and compiler";
    EXPECT_NEAR(count, found->second, tolerance)
        << name << " executes " << count << " instructions, and tests/malloc/fast_path.txt says "
        << found->second
        << ".\nIf the change is wanted, say why in the commit and write the new number there.";
}

TEST(fast_path, malloc) {
    compare("malloc", [] { call_malloc(size); });
}
TEST(fast_path, operator_new) {
    compare("new", [] { call_new(size); });
}
TEST(fast_path, free) {
    compare("free", [] { call_free(held[1]); });
}
TEST(fast_path, operator_delete) {
    compare("delete", [] { call_delete(held[1]); });
}

TEST(fast_path, operator_delete_with_size) {
    if (STEADY_CHECK >= 1) GTEST_SKIP() << "this build compares the size with the truth";
    compare("sized_delete", [] { call_sized_delete(held[1], size); });
}

TEST(fast_path, malloc_of_medium_sizes) {
    static constexpr std::size_t medium = 4000;
    const int count = instructions_of([] { call_malloc(medium), call_malloc(medium); },
                                      [] { call_malloc(medium); });
    if (count < 0) GTEST_SKIP() << "this system does not let a process trace its child";
    std::printf("%s %s medium_malloc %d\n", machine.c_str(), compiler.c_str(), count);
    EXPECT_LT(count, 35);
}

}  // namespace
