// fatal_text.hpp - the text a failing function stops the program with, as a string,
// and the test goes on: the handler leaves fatal() by longjmp.
//
//   EXPECT_NE(fatal_text([] { small.sub(1_B); }).find("L1"), std::string::npos);
//
// Nothing is destroyed between the failure and here, so the function must not own
// anything with a destructor on the way.

#pragma once

#include "steady/core/fatal.hpp"

#include <csetjmp>
#include <string>

namespace steady::test {

inline thread_local std::jmp_buf back_to_test;
inline thread_local char last_fatal_text[message::capacity];

inline void leave_fatal(const char* text) {
    std::size_t i = 0;
    for (; text[i] != '\0' && i + 1 < message::capacity; ++i) last_fatal_text[i] = text[i];
    last_fatal_text[i] = '\0';
    std::longjmp(back_to_test, 1);
}

/// Returns    what fatal() was told, or "" when the function came back.
/// Threads    one at a time: there is one handler in the process.
template <class Function>
std::string fatal_text(Function provoke) {
    last_fatal_text[0] = '\0';
    const fatal_handler before = set_fatal_handler(leave_fatal);
    if (setjmp(back_to_test) == 0) provoke();
    set_fatal_handler(before);
    return last_fatal_text;
}

}  // namespace steady::test
