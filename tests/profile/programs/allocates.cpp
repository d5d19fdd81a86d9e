// A program that knows nothing of profilers: what tests find in its profile is written here.
//
//   allocates keep N       N blocks of 1000 bytes, kept; exit code 7
//   allocates text         compares the code of libsteady_malloc.so in memory with its file
//   allocates wait         allocates, says "ready", waits for a line on stdin
//   allocates close        closes every descriptor before it ends
//   allocates fail         asks for more than there is, says so, ends
//   allocates fork         its child ends by exit() too
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

[[gnu::noinline]] void* keep_block(std::size_t size) {
    void* p = std::malloc(size);
    asm volatile("" : : "r"(p) : "memory");
    return p;
}
[[gnu::noinline]] void drop_block(std::size_t size) {
    void* p = std::malloc(size);
    asm volatile("" : : "r"(p) : "memory");
    std::free(p);
}
[[gnu::noinline]] void keep_blocks(int count) {
    for (int i = 0; i < count; ++i) keep_block(1000), drop_block(5000);
}

// Every executable mapping of the library, byte by byte.
int code_is_as_in_the_file() {
    std::FILE* maps = std::fopen("/proc/self/maps", "r");
    char line[1024];
    std::size_t compared = 0;
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        unsigned long start = 0, end = 0, offset = 0;
        char rights[8], path[512];
        if (std::sscanf(line, "%lx-%lx %7s %lx %*s %*s %511s", &start, &end, rights, &offset,
                        path) != 5)
            continue;
        if (std::strstr(path, "libsteady_malloc.so") == nullptr || rights[2] != 'x') continue;
        std::FILE* file = std::fopen(path, "rb");
        std::fseek(file, static_cast<long>(offset), SEEK_SET);
        std::vector<char> bytes(end - start);
        const std::size_t n = std::fread(bytes.data(), 1, bytes.size(), file);
        std::fclose(file);
        if (std::memcmp(bytes.data(), reinterpret_cast<void*>(start), n) != 0) return 1;
        compared += n;
    }
    std::fclose(maps);
    std::printf("%s\n", compared > 10'000 ? "equal" : "nothing compared");
    return 0;
}

int main(int count, char** words) {
    const std::string what = count > 1 ? words[1] : "";
    if (what == "keep") {
        keep_blocks(std::atoi(words[2]));
        return 7;
    }
    if (what == "text") {
        keep_blocks(10'000);
        return code_is_as_in_the_file();
    }
    if (what == "wait") {
        keep_blocks(1000);
        std::puts("ready");
        std::fflush(stdout);
        std::getchar();
        keep_blocks(1000);
        return 0;
    }
    if (what == "close") {
        keep_blocks(1000);
        for (int i = 0; i < 2048; ++i) close(i);
        return 0;
    }
    if (what == "fail") {
        keep_blocks(1000);
        void* p = std::malloc(std::size_t{1} << 40);
        std::printf("%s\n", p == nullptr ? "no memory" : "memory");
        std::fflush(stdout);
        _exit(0);  // whatever was written was written by then
    }
    if (what == "fork") {
        keep_blocks(500);
        const pid_t child = fork();
        if (child == 0) {
            keep_blocks(500);
            std::exit(3);
        }
        int status = 0;
        waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    }
    return 2;
}
