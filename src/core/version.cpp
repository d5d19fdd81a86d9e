// version.cpp - the build describes itself in one string, put together by the
// preprocessor: whoever prints it, a crashing program included, needs no heap.
#include "steady/core/version.hpp"

#define STEADY_TEXT_OF(x) #x
#define STEADY_TEXT(x) STEADY_TEXT_OF(x)

#define STEADY_VERSION_TEXT           \
    STEADY_TEXT(STEADY_VERSION_MAJOR) \
    "." STEADY_TEXT(STEADY_VERSION_MINOR) "." STEADY_TEXT(STEADY_VERSION_PATCH)

#if defined(__clang__)
#define STEADY_COMPILER_TEXT "clang " __clang_version__
#else
#define STEADY_COMPILER_TEXT "gcc " __VERSION__
#endif

#if defined(__x86_64__)
#define STEADY_PROCESSOR_TEXT "x86-64"
#elif defined(__aarch64__)
#define STEADY_PROCESSOR_TEXT "aarch64"
#else
#error "steady runs on x86-64 and AArch64 Linux; the os room needs system calls for this processor"
#endif

#if defined(STEADY_CHECK)
#define STEADY_CHECK_TEXT "check " STEADY_TEXT(STEADY_CHECK)
#elif defined(NDEBUG)
#define STEADY_CHECK_TEXT "check 0"
#else
#define STEADY_CHECK_TEXT "check 1"
#endif

namespace steady {

const char* version() noexcept {
    return STEADY_VERSION_TEXT;
}

const char* build_description() noexcept {
    return "steady " STEADY_VERSION_TEXT " (" STEADY_COMPILER_TEXT ", " STEADY_PROCESSOR_TEXT
           ", " STEADY_CHECK_TEXT ")";
}

}  // namespace steady
