// command.hpp - runs the built command `steady` and keeps what it said.
//
// The command is started without a shell, with stdout and stderr in files and
// stdin from a file, so a full pipe can never stop it. A test that wants to act
// while the command runs uses start() and finish() instead of run().
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef STEADY_COMMAND_PATH
#define STEADY_COMMAND_PATH ""
#endif

namespace steady::test {

/// A directory of its own for one test, gone afterwards.
class scratch_directory {
public:
    scratch_directory() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "steady-cli-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) {
            throw std::system_error(errno, std::generic_category(), pattern);
        }
        path_ = pattern;
    }
    ~scratch_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;

    const std::filesystem::path& path() const { return path_; }

    /// Writes a file, with the directories it needs, and returns its path.
    std::string write(const std::filesystem::path& name, const std::string& contents) const {
        const std::filesystem::path target = path_ / name;
        std::filesystem::create_directories(target.parent_path());
        std::ofstream(target, std::ios::binary) << contents;
        return target.string();
    }

private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct outcome {
    int exit_code = -1;  // 128 + signal when a signal ended it
    std::string out;
    std::string err;
};

/// One run of the command. stdin is empty unless said otherwise.
class command {
public:
    explicit command(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}
    ~command() {
        if (process_ <= 0) return;
        kill(process_, SIGKILL);
        wait();
    }
    command(const command&) = delete;
    command& operator=(const command&) = delete;

    command& input(const std::string& text) {
        files_.write("in", text);
        return *this;
    }
    command& output_to(std::string path) {
        out_path_ = std::move(path);
        return *this;
    }

    command& start() {
        if (!std::filesystem::exists(files_.path() / "in")) files_.write("in", "");
        const std::string in = (files_.path() / "in").string();
        const std::string out = out_path_.empty() ? (files_.path() / "out").string() : out_path_;
        const std::string err = (files_.path() / "err").string();
        std::vector<char*> words{const_cast<char*>(STEADY_COMMAND_PATH)};
        for (std::string& each : arguments_) words.push_back(each.data());
        words.push_back(nullptr);
        process_ = fork();
        if (process_ == 0) {
            dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
            dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
            dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
            execv(words[0], words.data());
            _exit(127);
        }
        return *this;
    }

    pid_t process() const { return process_; }

    /// Whether it has ended; its status is then kept for finish().
    bool ended() {
        if (process_ > 0 && waitpid(process_, &status_, WNOHANG) == process_) process_ = 0;
        return process_ == 0;
    }

    /// What it has written to stderr until now.
    std::string said_so_far() const { return read_file(files_.path() / "err"); }

    outcome finish() {
        wait();
        return {WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_),
                out_path_.empty() ? read_file(files_.path() / "out") : std::string(),
                read_file(files_.path() / "err")};
    }

    outcome run() { return start().finish(); }

private:
    void wait() {
        while (process_ > 0 && waitpid(process_, &status_, 0) < 0 && errno == EINTR) {
        }
        process_ = 0;
    }

    std::vector<std::string> arguments_;
    scratch_directory files_;
    std::string out_path_;
    pid_t process_ = 0;
    int status_ = 0;
};

/// For EXPECT_TRUE: shows the text when the part is missing.
inline testing::AssertionResult contains(const std::string& text, const std::string& part) {
    const bool found = text.find(part) != std::string::npos;
    return (found ? testing::AssertionSuccess() : testing::AssertionFailure())
           << (found ? "found '" : "did not find '") << part << "' in:\n"
           << text;
}

inline outcome run(std::vector<std::string> arguments) {
    return command(std::move(arguments)).run();
}

/// The processes whose parent is `process`, as the kernel lists them.
inline std::vector<pid_t> children_of(pid_t process) {
    const std::string id = std::to_string(process);
    std::ifstream list("/proc/" + id + "/task/" + id + "/children");
    return {std::istream_iterator<pid_t>(list), {}};
}

/// Skips every test where the command was left out of the build (its libraries
/// are missing) or is made for another processor.
class command_runs : public testing::Environment {
    void SetUp() override {
        if (run({"--version"}).exit_code == 127) {
            GTEST_SKIP() << "no command to run at '" << STEADY_COMMAND_PATH << "'";
        }
    }
};
inline testing::Environment* const command_runs_here =
    testing::AddGlobalTestEnvironment(new command_runs);

}  // namespace steady::test
