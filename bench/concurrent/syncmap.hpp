// syncmap.hpp - the Go program beside this file (syncmap/main.go) as a contestant: asked for
// one cell after another through two pipes.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace steady::bench {

class go_process {
public:
    go_process(const char* program, std::size_t entries, bool strings) {
        int down[2], up[2];
        if (pipe(down) != 0 || pipe(up) != 0) std::abort();
        // Not fork(): it would make all pages of the other maps read-only for a moment, and their
        // next writers pay.
        posix_spawn_file_actions_t ends;
        posix_spawn_file_actions_init(&ends);
        posix_spawn_file_actions_adddup2(&ends, down[0], 0);
        posix_spawn_file_actions_adddup2(&ends, up[1], 1);
        for (const int end : {down[0], down[1], up[0], up[1]}) {
            posix_spawn_file_actions_addclose(&ends, end);
        }
        std::string name = program, count = std::to_string(entries),
                    kind = strings ? "strings" : "numbers";
        char* words[] = {name.data(), count.data(), kind.data(), nullptr};
        if (posix_spawn(&child_, program, &ends, nullptr, words, environ) != 0) std::abort();
        posix_spawn_file_actions_destroy(&ends);
        close(down[0]);
        close(up[1]);
        to_ = fdopen(down[1], "w");
        from_ = fdopen(up[0], "r");
    }
    go_process(const go_process&) = delete;
    go_process& operator=(const go_process&) = delete;
    ~go_process() {
        std::fclose(to_);
        std::fclose(from_);
        waitpid(child_, nullptr, 0);
    }
    double ask(const std::string& line) {
        std::fprintf(to_, "%s\n", line.c_str());
        std::fflush(to_);
        double answer = 0;
        if (std::fscanf(from_, "%lf", &answer) != 1) {
            std::fprintf(stderr, "bench: the Go program does not answer\n");
            std::exit(1);
        }
        return answer;
    }

private:
    pid_t child_;
    std::FILE *to_, *from_;
};

}  // namespace steady::bench
