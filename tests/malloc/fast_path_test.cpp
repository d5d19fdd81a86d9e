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

constexpr std::size_t rounds = 8;  // a magazine serves some of that many calls, whatever its state

/// Steps a child through `call(0)`, `call(1)`, ... and counts the instructions of
/// each in the library. Returns the smallest count: the others had a magazine
/// exchanged. -1 when this system does not let a process trace its child.
int instructions_of(const std::function<void()>& prepare,
                    const std::function<void(std::size_t)>& call) {
    const code_range library = code_of_library();
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
        prepare();
        raise(SIGSTOP);
        for (std::size_t i = 0; i < rounds; ++i) call(i);
        _exit(0);
    }
    int status = 0, count = 0, smallest = -1;
    waitpid(child, &status, 0);
    while (WIFSTOPPED(status)) {
        if (library.contains(program_counter(child))) {
            ++count;
        } else if (count != 0) {
            if (smallest < 0 || count < smallest) smallest = count;
            count = 0;
        }
        if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
        waitpid(child, &status, 0);
    }
    return smallest;
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
void* held[2 * rounds];

void hold_some() {
    for (void*& p : held) p = call_malloc(size);
    for (std::size_t i = rounds; i < 2 * rounds; ++i) call_free(held[i]);
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

void compare(const std::string& name, const std::function<void(std::size_t)>& call) {
    const int count = instructions_of(hold_some, call);
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
    compare("malloc", [](std::size_t) { call_malloc(size); });
}
TEST(fast_path, operator_new) {
    compare("new", [](std::size_t) { call_new(size); });
}
TEST(fast_path, free) {
    compare("free", [](std::size_t i) { call_free(held[i]); });
}
TEST(fast_path, operator_delete) {
    compare("delete", [](std::size_t i) { call_delete(held[i]); });
}
TEST(fast_path, operator_delete_with_size) {
    if (STEADY_CHECK >= 1) GTEST_SKIP() << "this build compares the size with the truth";
    compare("sized_delete", [](std::size_t i) { call_sized_delete(held[i], size); });
}
TEST(fast_path, malloc_of_medium_sizes) {
    compare("medium_malloc", [](std::size_t) { call_malloc(4000); });
}

}  // namespace
