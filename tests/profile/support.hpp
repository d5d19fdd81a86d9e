// support.hpp - what the profiler's tests share: sums over records, and files.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include "steady/profile/detail/tuning.hpp"
#include "steady/profile/profile.hpp"

namespace steady::profile::test {

inline std::int64_t total(const std::vector<stack_record>& records, std::size_t value) {
    std::int64_t sum = 0;
    for (const stack_record& r : records) sum += r.values[value];
    return sum;
}

/// Without the line of the objects that no sample stands for.
inline std::vector<stack_record> sampled(std::vector<stack_record> records) {
    std::erase_if(records, [](const stack_record& r) {
        return !r.frames.empty() && r.frames[0].function == "[not sampled]";
    });
    return records;
}

/// Records with a frame of this function.
inline std::vector<stack_record> through(const std::vector<stack_record>& records,
                                         const std::string& function) {
    std::vector<stack_record> out;
    for (const stack_record& r : records) {
        for (const frame& f : r.frames) {
            if (f.function.find(function) == std::string::npos) continue;
            out.push_back(r);
            break;
        }
    }
    return out;
}

/// A file that goes with the object.
class temporary_file {
public:
    explicit temporary_file(const std::string& suffix)
        : path_((std::filesystem::temp_directory_path() /
                 ("steady-profile-" + std::to_string(getpid()) + "-" +
                  std::to_string(reinterpret_cast<std::uintptr_t>(this)) + suffix))
                    .string()) {}
    ~temporary_file() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
    [[nodiscard]] std::string read() const {
        std::ifstream in(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    std::string path_;
};

/// Starts a session with this rate for all sizes, which tuning would change after 100 ms.
inline void start_untuned(std::uint64_t rate) {
    EXPECT_TRUE(start());
    detail::set_tuning(false);
    set_rate(rate);
}

struct outcome {
    int status;
    std::string output;
};
/// Runs a shell command; its output with stderr.
inline outcome run(const std::string& command) {
    outcome out{-1, {}};
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return out;
    char buffer[4096];
    for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) != 0;)
        out.output.append(buffer, n);
    out.status = pclose(pipe);
    return out;
}

inline const std::string pprof = "/usr/lib/go-1.19/bin/go tool pprof";

}  // namespace steady::profile::test
