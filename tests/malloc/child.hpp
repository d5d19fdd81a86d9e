// child.hpp - starts a program with an environment of its own and collects what
// it said.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

struct ended_child {
    int code = -1;   // exit code, or -1
    int signal = 0;  // that ended it, or 0
    std::string out, err;
};

using variables = std::map<std::string, std::string>;

inline std::string content_of(int file) {
    std::string text;
    char buffer[4096];
    lseek(file, 0, SEEK_SET);
    for (ssize_t n; (n = read(file, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

/// Runs the program to its end. `change` is set on top of this process's
/// environment, without LD_PRELOAD and without variables of steady.
inline ended_child run(std::vector<std::string> words, const variables& change = {}) {
    const int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        for (const char* name : {"LD_PRELOAD", "STEADY_DEBUG", "STEADY_MALLOC_LIBRARY"})
            unsetenv(name);
        for (const auto& [name, value] : change) setenv(name.c_str(), value.c_str(), 1);
        dup2(out, 1);
        dup2(err, 2);
        execvp(arguments[0], arguments.data());
        _exit(99);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ended_child ended;
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
    ended.out = content_of(out);
    ended.err = content_of(err);
    close(out), close(err);
    return ended;
}
