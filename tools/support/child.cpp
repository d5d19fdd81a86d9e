// child.cpp - see child.hpp.
//
// States of a child:  running --reads end--> silent --waitpid--> reaped
// Whatever leaves run_bytes_in_child(), an exception included, has killed and
// reaped the child: child_guard owns that duty.
#include "support/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>

#include <fmt/format.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/exit_code.hpp"
#include "support/interrupt.hpp"

namespace steady::cli {
namespace {

/// Sent ahead of the result: what became of the work, in words when it failed.
struct outcome {
    bool failed = false;
    char text[247] = {};
};

class file_descriptor {
public:
    explicit file_descriptor(int number) : number_(number) {}
    file_descriptor(const file_descriptor&) = delete;
    file_descriptor& operator=(const file_descriptor&) = delete;
    ~file_descriptor() { close(); }

    int number() const { return number_; }
    void close() {
        if (number_ >= 0) ::close(number_);
        number_ = -1;
    }

private:
    int number_;
};

class child_guard {
public:
    explicit child_guard(pid_t child) : child_(child) {}
    child_guard(const child_guard&) = delete;
    child_guard& operator=(const child_guard&) = delete;
    ~child_guard() {
        if (child_ <= 0) return;
        kill(child_, SIGKILL);
        wait();
    }

    /// Waits for the end of the child; afterwards there is nothing left to guard.
    int wait() {
        int status = 0;
        while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
        }
        child_ = 0;
        return status;
    }

private:
    pid_t child_;
};

bool write_all(int pipe, const void* data, std::size_t size) {
    const auto* next = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t written = write(pipe, next, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        next += written;
        size -= static_cast<std::size_t>(written);
    }
    return true;
}

/// Fills `data` unless the child's end closes first. The wait is cut into
/// tenths of a second because a signal may arrive between the check and the
/// poll, where nothing would wake it.
bool read_all(int pipe, void* data, std::size_t size) {
    auto* next = static_cast<char*>(data);
    while (size > 0) {
        check_interrupt();
        pollfd waiting{pipe, POLLIN, 0};
        if (poll(&waiting, 1, 100) <= 0) continue;
        const ssize_t got = read(pipe, next, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        next += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

[[noreturn]] void be_the_child(int pipe, pid_t parent, const void* result, std::size_t size,
                               const std::function<void()>& work) {
    default_interrupts();
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed parent leaves no child working on
    if (getppid() != parent) _exit(exit_check_failed);
    outcome answer;
    try {
        work();
    } catch (const std::exception& problem) {
        answer.failed = true;
        std::strncpy(answer.text, problem.what(), sizeof answer.text - 1);
    }
    const bool sent =
        write_all(pipe, &answer, sizeof answer) && (answer.failed || write_all(pipe, result, size));
    // _exit: the parent's buffered output and exit handlers are the parent's to run.
    _exit(sent ? exit_done : exit_check_failed);
}

std::string describe_end(int status) {
    if (!WIFSIGNALED(status)) return fmt::format("left with exit code {}", WEXITSTATUS(status));
    const int signal = WTERMSIG(status);
    return fmt::format("was ended by signal {} ({}){}", signal, strsignal(signal),
                       signal == SIGKILL ? ", usually the kernel when memory runs out" : "");
}

}  // namespace

void run_bytes_in_child(const std::string& name, void* result, std::size_t size,
                        const std::function<void()>& work) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        throw check_failure(fmt::format("no pipe for {}: {}", name, std::strerror(errno)));
    }
    file_descriptor from_child(ends[0]);
    file_descriptor to_parent(ends[1]);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
        throw check_failure(fmt::format("no process for {}: {}", name, std::strerror(errno)));
    }
    if (child == 0) be_the_child(to_parent.number(), parent, result, size, work);
    child_guard guard(child);
    to_parent.close();  // or the end of the child would never show as end of file

    outcome answer;
    const bool answered = read_all(from_child.number(), &answer, sizeof answer);
    if (answered && answer.failed) {
        throw check_failure(fmt::format("{} failed: {}", name, answer.text));
    }
    const bool complete = answered && read_all(from_child.number(), result, size);
    const int status = guard.wait();
    check_interrupt();  // Ctrl-C reaches the child too; its death is then no finding
    if (!complete) {
        throw check_failure(
            fmt::format("{} {} before it sent its result", name, describe_end(status)));
    }
}

}  // namespace steady::cli
