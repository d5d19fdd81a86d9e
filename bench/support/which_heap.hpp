// which_heap.hpp - names the shared object that serves malloc, and the build.
//
// A misspelt LD_PRELOAD is only a warning of the dynamic linker; the program
// then measures glibc under another heap's name. So each benchmark prints whose
// malloc it called, and bench/heap/compare refuses a row that names another.
#pragma once

#include <dlfcn.h>

namespace steady::bench {

/// Path of the object that defines the malloc this program calls.
inline const char* malloc_provider() {
    Dl_info where{};
    void* function = dlsym(RTLD_DEFAULT, "malloc");
    if (function == nullptr || dladdr(function, &where) == 0 || where.dli_fname == nullptr) {
        return "unknown";
    }
    return where.dli_fname;
}

inline const char* compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
}

inline const char* build_flags() {
#if defined(STEADY_BENCH_FLAGS)
    return STEADY_BENCH_FLAGS;
#elif defined(__OPTIMIZE__)
    return "optimised";
#else
    return "not optimised";
#endif
}

}  // namespace steady::bench
