// busy.cpp - a program that knows nothing of steady: it keeps memory in one function and
// throws memory away in another, then waits or ends as its words say.
//
//   profile_busy code 7        ends with this exit code
//   profile_busy signal 9      ends by this signal
//   profile_busy wait          until stdin ends
//   profile_busy fork 3        a child does the same work; both end with this exit code
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace {

std::vector<void*> kept;

[[gnu::noinline]] void keep_in_cache() {
    for (int i = 0; i < 2000; ++i) {
        void* p = std::malloc(1000);
        std::memset(p, 1, 1000);
        kept.push_back(p);
    }
}

[[gnu::noinline]] void throw_away() {
    for (int i = 0; i < 20000; ++i) {
        void* volatile p = std::malloc(500);
        std::free(p);
    }
}

}  // namespace

int main(int count, char** words) {
    keep_in_cache();
    throw_away();
    const std::string what = count > 1 ? words[1] : "code";
    const int number = count > 2 ? std::atoi(words[2]) : 0;
    if (what == "signal") return std::raise(number);
    if (what == "wait") {
        char ignored[64];
        while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
        }
        return 0;
    }
    if (what == "fork") {
        const pid_t child = fork();
        if (child == 0) throw_away();
        if (child > 0) waitpid(child, nullptr, 0);
    }
    return number;
}
