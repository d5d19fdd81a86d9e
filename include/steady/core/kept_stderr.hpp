// kept_stderr.hpp - the standard error of the start, for what a library says at the end.
//
// stderr at the end is not always stderr at the start: the GNU tools close it in an atexit
// function to learn about write errors, and a daemon puts a log there. So a duplicate is kept
// from the start, out of the way of programs that expect the lowest numbers. The program may
// close it and open a file of its own under the same number; so the duplicate, and stderr
// after it, is used only if it still names the file it named at the start (device and inode).

#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace steady {

/// Allocates nothing; constant-initialised.
///
/// Threads    keep() by one thread; file() by any number afterwards.
class kept_stderr {
public:
    /// Call it early. Without stderr nothing is kept.
    void keep() noexcept {
        struct stat status {};
        if (fstat(STDERR_FILENO, &status) != 0) return;
        number_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, first_number);
        if (number_ < 0) number_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        device_ = status.st_dev;
        inode_ = status.st_ino;
        known_ = true;
    }
    /// -1: there was none, or the program closed both and may have data files there now.
    [[nodiscard]] int file() const noexcept {
        if (names_it(number_)) return number_;
        return names_it(STDERR_FILENO) ? STDERR_FILENO : -1;
    }

private:
    static constexpr int first_number = 512;  // programs close lower ones in a loop

    [[nodiscard]] bool names_it(int number) const noexcept {
        struct stat status {};
        return known_ && number >= 0 && fstat(number, &status) == 0 && status.st_dev == device_ &&
               status.st_ino == inode_;
    }

    dev_t device_{};
    ino_t inode_{};
    int number_ = -1;
    bool known_ = false;
};

}  // namespace steady
