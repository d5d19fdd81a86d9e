// run_http_test.cpp - `steady run --http` and `--report`: whole programs that know nothing
// of steady, and the tools people have.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "http_client.hpp"
#include "support.hpp"

#if defined(STEADY_COMMAND_PATH)

namespace {

using namespace steady::profile::test;
namespace fs = std::filesystem;

const std::string busy = STEADY_TEST_PROGRAMS "/profile_busy";

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct scratch {
    fs::path path;
    scratch() {
        std::string pattern = (fs::temp_directory_path() / "steady-run-http-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
};

/// `steady run WORDS...`, started, with a pipe to its stdin.
class running_program {
public:
    explicit running_program(std::vector<std::string> words, std::string err_path = {})
        : err_path_(err_path.empty() ? (files_.path / "err").string() : std::move(err_path)) {
        words.insert(words.begin(), {STEADY_COMMAND_PATH, "run"});
        std::vector<char*> arguments;
        for (std::string& w : words) arguments.push_back(w.data());
        arguments.push_back(nullptr);
        int to_stdin[2];
        if (pipe2(to_stdin, O_CLOEXEC) != 0) return;
        process_ = fork();
        if (process_ == 0) {
            dup2(to_stdin[0], 0);
            dup2(open((files_.path / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
            dup2(open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
            execv(arguments[0], arguments.data());
            _exit(127);
        }
        close(to_stdin[0]);
        stdin_ = to_stdin[1];
    }
    ~running_program() {
        if (process_ > 0) {
            kill(process_, SIGKILL);
            finish();
        }
        if (stdin_ >= 0) close(stdin_);
    }
    running_program(const running_program&) = delete;
    running_program& operator=(const running_program&) = delete;

    [[nodiscard]] std::string err() const { return read_file(err_path_); }
    [[nodiscard]] std::string out() const { return read_file(files_.path / "out"); }
    [[nodiscard]] pid_t process() const { return process_; }

    /// "127.0.0.1:PORT", as it was announced; empty when that did not come within 20 s.
    [[nodiscard]] std::string address() const {
        for (int i = 0; i < 400; ++i) {
            const std::string text = err();
            const std::size_t at = text.find("is at http://");
            const std::size_t end = text.find("/\n", at == std::string::npos ? 0 : at + 13);
            if (at != std::string::npos && end != std::string::npos)
                return text.substr(at + 13, end - at - 13);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return {};
    }
    void end_stdin() {
        if (stdin_ >= 0) close(stdin_);
        stdin_ = -1;
    }
    /// The exit code, or 128 and the signal.
    int finish() {
        end_stdin();
        int status = 0;
        while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
        }
        process_ = 0;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

private:
    scratch files_;
    std::string err_path_;
    int stdin_ = -1;
    pid_t process_ = 0;
};

int run_to_the_end(std::vector<std::string> words, std::string* err = nullptr) {
    running_program p(std::move(words));
    const int code = p.finish();
    if (err != nullptr) *err = p.err();
    return code;
}

// ---- The server.

TEST(run_http, go_tool_pprof_names_who_keeps_and_who_allocates) {
    running_program p({"--http", "127.0.0.1:0", "--rate", "1", "--", busy, "wait"});
    const std::string address = p.address();
    ASSERT_FALSE(address.empty()) << p.err();
    scratch home;
    const std::string tool = "HOME=" + home.path.string() + " " + pprof;
    const std::string url = " http://" + address + "/debug/pprof/";
    const outcome heap = run(tool + " -top -sample_index=inuse_space" + url + "heap");
    EXPECT_TRUE(contains(heap.output, "keep_in_cache")) << heap.output;
    EXPECT_FALSE(contains(heap.output, "throw_away")) << heap.output;
    const outcome allocs = run(tool + " -top -unit=B" + url + "allocs");
    EXPECT_TRUE(contains(allocs.output, "throw_away")) << allocs.output;
    EXPECT_TRUE(contains(allocs.output, "10240000B")) << "20000 of 512 bytes\n" << allocs.output;
    EXPECT_EQ(p.finish(), 0);
}

/// The text of a profile of `program`, once it has done its work.
std::string of_a_program_with_containers(const std::string& program, const std::string& kind) {
    running_program p({"--http", "127.0.0.1:0", "--rate", "1", "--", program});
    const std::string address = p.address();
    for (int i = 0; i < 400 && !contains(p.out(), "ready"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
    scratch home;
    const outcome text = run("HOME=" + home.path.string() + " " + pprof + " -traces http://" +
                             address + "/debug/pprof/" + kind);
    EXPECT_EQ(p.finish(), 0) << p.err();
    std::string words = text.output;  // "container:  map" has more than one blank
    words.erase(std::unique(words.begin(), words.end(),
                            [](char a, char b) { return a == ' ' && b == ' '; }),
                words.end());
    return words;
}

// docs/guide/profile.md says when: the program must export its hooks.
TEST(run_http, a_program_that_exports_its_hooks_has_growth) {
    const std::string grows = STEADY_TEST_PROGRAMS "/profile_grows";
    const std::string growth = of_a_program_with_containers(grows, "growth");
    EXPECT_TRUE(contains(growth, "grow_a_map")) << growth;
    EXPECT_TRUE(contains(growth, "container: map")) << growth;
}

TEST(run_http, a_program_that_exports_its_hooks_has_retained) {
    const std::string keeps = STEADY_TEST_PROGRAMS "/profile_keeps";
    const std::string retained = of_a_program_with_containers(keeps, "retained");
    EXPECT_TRUE(contains(retained, "keep_a_piece")) << retained;
    EXPECT_TRUE(contains(retained, "1MB")) << retained;
}

TEST(run_http, a_program_that_hides_its_hooks_has_none_and_runs) {
    const std::string hidden = STEADY_TEST_PROGRAMS "/profile_grows_hidden";
    EXPECT_FALSE(contains(of_a_program_with_containers(hidden, "growth"), "grow_a_map"));
}

TEST(run_http, labels_arrive_in_a_preloaded_profiler) {
    for (const char* program : {"/profile_grows", "/profile_grows_hidden"}) {
        const std::string heap =
            of_a_program_with_containers(STEADY_TEST_PROGRAMS + std::string(program), "heap");
        EXPECT_TRUE(contains(heap, "keep_labelled")) << heap;
        EXPECT_TRUE(contains(heap, "route: /search")) << program << heap;
    }
}

TEST(run_http, python_and_its_functions) {
    if (!fs::exists("/usr/bin/python3")) GTEST_SKIP() << "no python3";
    running_program p({"--http", "127.0.0.1:0", "--rate", "16KiB", "--", "/usr/bin/python3", "-c",
                       "import sys\nkept = [bytes(100000) for i in range(200)]\nsys.stdin.read()\n"
                       "sys.exit(5)"});
    const std::string address = p.address();
    ASSERT_FALSE(address.empty()) << p.err();
    for (int i = 0; i < 100; ++i) {
        if (contains(get(address, "/memstats").body, "\"HeapAlloc\":2")) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    scratch home;
    const outcome top =
        run("HOME=" + home.path.string() + " " + pprof +
            " -top -cum -sample_index=inuse_space http://" + address + "/debug/pprof/heap");
    EXPECT_TRUE(contains(top.output, "PyEval_EvalCode")) << top.output;
    EXPECT_EQ(p.finish(), 5) << "the program's own exit code";
}

TEST(run_http, redis_and_the_callers_of_zmalloc) {
    if (!fs::exists("/usr/bin/redis-server") || !fs::exists("/usr/bin/redis-cli"))
        GTEST_SKIP() << "no redis";
    scratch files;
    const std::string socket = (files.path / "redis.sock").string();
    running_program p({"--http", "127.0.0.1:0", "--rate", "16KiB", "--", "redis-server", "--port",
                       "0", "--unixsocket", socket, "--save", "", "--dir", files.path.string(),
                       "--enable-debug-command", "yes"});
    const std::string address = p.address();
    ASSERT_FALSE(address.empty()) << p.err();
    const std::string cli = "redis-cli -s " + socket + " ";
    for (int i = 0; i < 100 && !contains(run(cli + "ping").output, "PONG"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(contains(run(cli + "debug populate 20000 key 200").output, "OK"));
    scratch home;
    const outcome top =
        run("HOME=" + home.path.string() + " " + pprof +
            " -top -cum -sample_index=inuse_space http://" + address + "/debug/pprof/heap");
    EXPECT_TRUE(contains(top.output, "dbAdd") || contains(top.output, "zmalloc") ||
                contains(top.output, "sdsnew"))
        << top.output;
    EXPECT_TRUE(contains(run(cli + "dbsize").output, "20000")) << "and it still works";
    run(cli + "shutdown nosave");
    EXPECT_EQ(p.finish(), 0) << p.err();
}

// DS4: what a scrape reports is not changed by the scrape.
TEST(run_http, scraping_allocates_nothing) {
    running_program p({"--http", "127.0.0.1:0", "--", busy, "wait"});
    const std::string address = p.address();
    ASSERT_FALSE(address.empty()) << p.err();
    const auto number = [&](const char* name) {
        const std::string text = get(address, "/memstats").body;
        const std::size_t at = text.find(name);
        return at == std::string::npos ? std::string("missing") : text.substr(at, 40);
    };
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the program does its work
    const std::string mallocs = number("\"Mallocs\":");
    const std::string frees = number("\"Frees\":");
    for (int i = 0; i < 30; ++i) {
        for (const char* page : {"/metrics", "/memstats", "/healthz", "/", "/debug/pprof/",
                                 "/debug/pprof/cmdline", "/debug/steady/history",
                                 "/debug/steady/facts", "/debug/steady/statistics", "/nowhere"})
            static_cast<void>(get(address, page));
    }
    EXPECT_EQ(number("\"Mallocs\":"), mallocs);
    EXPECT_EQ(number("\"Frees\":"), frees);
}

TEST(run_http, profiles_do_not_show_the_server_itself) {
    running_program p({"--http", "127.0.0.1:0", "--rate", "1", "--", busy, "wait"});
    const std::string address = p.address();
    ASSERT_FALSE(address.empty()) << p.err();
    for (int i = 0; i < 3; ++i) static_cast<void>(get(address, "/debug/flame"));
    const std::string text = get(address, "/debug/pprof/allocs?debug=1").body;
    EXPECT_TRUE(contains(text, "keep_in_cache"));
    EXPECT_FALSE(contains(text, "steady::web")) << text;
    EXPECT_FALSE(contains(text, "libdw.so"));
}

TEST(run_http, a_port_in_use_costs_a_message_and_nothing_else) {
    running_program first({"--http", "127.0.0.1:0", "--", busy, "wait"});
    const std::string address = first.address();
    ASSERT_FALSE(address.empty());
    const std::vector<std::pair<std::string, std::string>> refused{
        {address, address + " is in use"},
        {"nowhere:1", "is no address with a port"},
        {"0.0.0.0:0", "--http-any"},
    };
    for (const auto& [asked, said] : refused) {
        running_program p({"--http", asked, "--", busy, "wait"});
        for (int i = 0; i < 400 && !contains(p.err(), said); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        EXPECT_TRUE(contains(p.err(), said)) << p.err();
        EXPECT_EQ(p.finish(), 0);
    }
    running_program open({"--http", "0.0.0.0:0", "--http-any", "--", busy, "wait"});
    EXPECT_FALSE(open.address().empty()) << open.err();
}

TEST(run_http, exit_codes_and_signals_are_the_programs_own) {
    EXPECT_EQ(run_to_the_end({"--http", "127.0.0.1:0", "--", busy, "code", "0"}), 0);
    EXPECT_EQ(run_to_the_end({"--http", "127.0.0.1:0", "--", busy, "code", "7"}), 7);
    EXPECT_EQ(run_to_the_end({"--http", "127.0.0.1:0", "--report", "--", busy, "signal", "15"}),
              128 + 15);
    EXPECT_EQ(run_to_the_end({"--http-any", "--", busy}), 2) << "nothing is to be served";
}

TEST(run_http, children_do_not_compete_for_the_port) {
    std::string err;
    EXPECT_EQ(run_to_the_end({"--http", "127.0.0.1:0", "--", "/bin/sh", "-c",
                              "/bin/sh -c 'exit 0'; " + busy + " code 0; sleep 0.3; exit 4"},
                             &err),
              4);
    EXPECT_EQ(err.find("the debug server of"), err.rfind("the debug server of")) << err;
    EXPECT_FALSE(contains(err, "in use")) << err;
}

// ---- The report.

TEST(run_report, the_top_allocators_are_printed_at_the_end) {
    std::string err;
    EXPECT_EQ(run_to_the_end({"--report", "--rate", "1", "--", busy, "code", "3"}, &err), 3);
    EXPECT_TRUE(contains(err, "allocations of profile_busy")) << err;
    EXPECT_TRUE(contains(err, "Type: alloc_space")) << err;
    EXPECT_TRUE(contains(err, "Type: inuse_space")) << err;
    EXPECT_TRUE(contains(err, "  flat  flat%")) << err;
    const std::size_t live = err.find("Type: inuse_space");
    EXPECT_TRUE(contains(err.substr(0, live), "9.77MB")) << "20000 of 512 bytes\n" << err;
    EXPECT_TRUE(contains(err.substr(0, live), "throw_away")) << err;
    EXPECT_FALSE(contains(err.substr(live), "throw_away")) << err;
    EXPECT_TRUE(contains(err.substr(live), "keep_in_cache")) << err;
}

TEST(run_report, the_page_needs_nothing_else) {
    scratch files;
    const fs::path page = files.path / "top.html";
    EXPECT_EQ(run_to_the_end({"--report=" + page.string(), "--rate", "1", "--", busy, "code", "0"}),
              0);
    const std::string text = read_file(page);
    ASSERT_TRUE(text.starts_with("<!DOCTYPE html>")) << text.substr(0, 100);
    EXPECT_TRUE(text.ends_with("</html>\n"));
    EXPECT_TRUE(contains(text, "keep_in_cache"));
    EXPECT_TRUE(contains(text, "throw_away"));
    for (const char* from_elsewhere : {"src=\"", "<link rel=\"stylesheet", "@import", "url(http"})
        EXPECT_FALSE(contains(text, from_elsewhere)) << from_elsewhere;
    // The data is JSON, and its sums are those of the program.
    const fs::path script = files.path / "check.py";
    std::ofstream(script) << R"(import json, re, sys
text = open(sys.argv[1]).read()
data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])
space = [t[0] for t in data['types']].index('alloc_space')
def through(name):
    return sum(values[space] for stack, values in data['stacks'] if any(name in data['names'][i] for i in stack))
assert through('throw_away') == 20000 * 512, through('throw_away')
assert through('keep_in_cache') >= 2000 * 1024, through('keep_in_cache')
print('ok')
)";
    const outcome checked = run("/usr/bin/python3 " + script.string() + " " + page.string());
    EXPECT_EQ(checked.output, "ok\n");
}

TEST(run_report, a_report_that_cannot_be_written_does_not_change_the_exit_code) {
    std::string err;
    EXPECT_EQ(run_to_the_end({"--report=/dev/full", "--", busy, "code", "6"}, &err), 6);
    EXPECT_TRUE(contains(err, "/dev/full")) << err;
    EXPECT_TRUE(contains(err, "the disk is full")) << err;
    EXPECT_EQ(run_to_the_end({"--report=/no/such/folder/x.html", "--", busy, "code", "6"}, &err),
              6);
    EXPECT_TRUE(contains(err, "the folder does not exist")) << err;
    // stderr is full: the report is lost, the exit code is not.
    running_program to_full({"--report", "--", busy, "code", "6"}, "/dev/full");
    EXPECT_EQ(to_full.finish(), 6);
    // Nobody reads stderr: no SIGPIPE.
    const outcome nobody = run("bash -c '\"" STEADY_COMMAND_PATH "\" run --report -- " + busy +
                               " code 6 2> >(true); echo code $?'");
    EXPECT_TRUE(contains(nobody.output, "code 6")) << nobody.output;
}

TEST(run_report, a_full_disk_leaves_the_file_that_was_there) {
    scratch files;
    if (mount("steady-test", files.path.c_str(), "tmpfs", 0, "size=64k") != 0)
        GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
    const fs::path page = files.path / "top.html";
    std::ofstream(page) << "what was there";
    std::string err;
    EXPECT_EQ(run_to_the_end({"--report=" + page.string(), "--", busy, "code", "0"}, &err), 0);
    EXPECT_TRUE(contains(err, "the disk is full")) << err;
    EXPECT_EQ(read_file(page), "what was there");
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& e : fs::directory_iterator(files.path)) ++entries;
    EXPECT_EQ(entries, 1u) << "no half file beside it";
    umount(files.path.c_str());
}

TEST(run_report, a_forked_child_reports_for_itself) {
    std::string err;
    EXPECT_EQ(run_to_the_end({"--report", "--rate", "1", "--", busy, "fork", "3"}, &err), 3);
    std::size_t reports = 0;
    for (std::size_t at = 0;
         (at = err.find("allocations of profile_busy", at)) != std::string::npos; ++at)
        ++reports;
    EXPECT_EQ(reports, 2u) << err;
}

}  // namespace

#endif
