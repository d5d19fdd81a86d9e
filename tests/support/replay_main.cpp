// replay_main.cpp - gives a fuzz target a main() where libFuzzer is absent.
//
//   fuzz_NAME FOLDER-OR-FILE... [--random N]
//
// Feeds every file to LLVMFuzzerTestOneInput, then N pseudo-random inputs from
// a fixed seed, so that each build and each machine replays the same bytes.
// The random inputs grow from 0 to 4096 bytes: short ones reach the edges,
// long ones reach the deep states. A failing input is written beside the
// program, ready to be kept in fuzz/corpus/.
//
// The target fails by aborting, as under libFuzzer, so the input in hand is
// saved from a SIGABRT handler with plain write calls.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

const std::uint8_t* current_data = nullptr;
std::size_t current_size = 0;
char saved_name[64];

void say(std::string_view text) {
    // The process is about to end; a lost message changes nothing.
    if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void save_input(int) {
    const int file = open(saved_name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (file >= 0 && write(file, current_data, current_size) >= 0) {
        say("replay: the failing input is in ");
        say(saved_name);
        say("; keep it in fuzz/corpus/ once the cause is fixed.\n");
    }
    std::signal(SIGABRT, SIG_DFL);
}

void feed(const std::vector<std::uint8_t>& input) {
    current_data = input.data();
    current_size = input.size();
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

// splitmix64 (Steele, Lea, Flood 2014). Written here because a replay must not
// change when the library's generators do.
class generator {
public:
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_ = 20240229;
};

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
    std::snprintf(saved_name, sizeof saved_name, "failing-input-%d", static_cast<int>(getpid()));
    std::signal(SIGABRT, save_input);

    std::vector<std::filesystem::path> files;
    std::uint64_t random_inputs = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--random" && i + 1 < argc) {
            random_inputs = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::filesystem::is_directory(argument)) {
            for (const auto& entry : std::filesystem::recursive_directory_iterator(argument))
                if (entry.is_regular_file()) files.push_back(entry.path());
        } else if (std::filesystem::is_regular_file(argument)) {
            files.emplace_back(argument);
        } else {
            std::fprintf(stderr, "replay: %s is neither a file nor a folder.\n", argv[i]);
            return 2;
        }
    }

    std::sort(files.begin(), files.end());
    for (const auto& file : files) feed(read_file(file));

    generator random;
    std::vector<std::uint8_t> input;
    for (std::uint64_t n = 0; n < random_inputs; ++n) {
        const std::uint64_t longest = 1 + n * 4096 / random_inputs;
        input.resize(random.next() % (longest + 1));
        for (auto& byte : input) byte = static_cast<std::uint8_t>(random.next() >> 56);
        feed(input);
    }
    std::printf("replay: %zu files and %llu pseudo-random inputs, no finding\n", files.size(),
                static_cast<unsigned long long>(random_inputs));
    return 0;
}
