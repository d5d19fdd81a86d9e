// programs_test.cpp - whole programs under libsteady_malloc.so: what they map,
// how early they allocate, and the statistics they leave.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "malloc/child.hpp"

namespace {

namespace fs = std::filesystem;

const std::string programs = STEADY_TEST_PROGRAMS "/";
const std::string library = STEADY_MALLOC_LIBRARY_PATH;

ended_child preloaded(std::vector<std::string> words, variables more = {}) {
    more["LD_PRELOAD"] = library;
    return run(std::move(words), more);
}

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder that is there during one test.
struct scratch_folder {
    fs::path path = fs::temp_directory_path() / ("steady-malloc-" + std::to_string(getpid()));
    scratch_folder() { fs::create_directories(path); }
    ~scratch_folder() { fs::remove_all(path); }
};

bool is_text(const std::string& s) {
    return s.find("statistics of malloc_endings, process") != std::string::npos;
}
bool is_json(const std::string& s) {
    return s.size() > 2 && s.front() == '{' && s.find("\"heap_alloc\"") != std::string::npos;
}

TEST(programs, a_c_program_gets_no_cpp_runtime) {
    const ended_child program = preloaded({programs + "malloc_plain_c"});
    ASSERT_EQ(program.code, 0) << program.err;
    EXPECT_NE(program.out.find("libsteady_malloc.so"), std::string::npos);
    for (const char* runtime : {"stdc++", "libc++", "libgcc_s", "libm.so"}) {
        EXPECT_EQ(program.out.find(runtime), std::string::npos) << program.out;
    }
}

TEST(programs, a_small_program_gets_no_thread) {
    EXPECT_NE(preloaded({programs + "malloc_plain_c"}).out.find("\nthreads 1\n"),
              std::string::npos);
}

TEST(programs, a_resolver_may_allocate_before_the_library_is_relocated) {
    const ended_child program = preloaded({programs + "malloc_early"});
    EXPECT_EQ(program.out, "fine\n") << program.err << " signal " << program.signal;
    const ended_child bound_now = preloaded({programs + "malloc_early"}, {{"LD_BIND_NOW", "1"}});
    EXPECT_EQ(bound_now.out, "fine\n") << bound_now.err << " signal " << bound_now.signal;
}

TEST(programs, a_plugin_with_its_own_cpp_runtime_gets_bad_alloc) {
    const ended_child program = preloaded({programs + "malloc_host", programs + "malloc_guest.so"});
    EXPECT_EQ(program.code, 0) << program.out << program.err << " signal " << program.signal;
}

TEST(programs, forms_of_new_and_delete_follow_those_the_program_replaced) {
    for (const char* heap : {"", library.c_str()}) {
        const ended_child program =
            run({programs + "malloc_own_operators"}, {{"LD_PRELOAD", heap}});
        EXPECT_EQ(program.out, "fine\n") << heap << program.err << " signal " << program.signal;
    }
}

TEST(programs, a_program_with_its_own_malloc_works_and_its_statistics_say_so) {
    for (const char* heap : {"", library.c_str()}) {
        const ended_child program =
            run({programs + "malloc_own_malloc"},
                {{"LD_PRELOAD", heap}, {"STEADY_DEBUG", "stats_at_exit=1"}});
        EXPECT_EQ(program.out, "fine\n") << heap << program.err << " signal " << program.signal;
        const bool said = program.err.find("brings a malloc of its own") != std::string::npos;
        EXPECT_EQ(said, *heap != '\0') << program.err;
    }
}

TEST(programs, loading_and_unloading_plugins_works_with_every_peer_of_dlopen) {
    for (const char* now : {"", "1"}) {
        const ended_child program = preloaded(
            {programs + "malloc_host", programs + "malloc_guest.so"}, {{"LD_BIND_NOW", now}});
        EXPECT_EQ(program.code, 0);
    }
}

TEST(programs, exit_codes_and_signals_pass) {
    EXPECT_EQ(preloaded({programs + "malloc_endings", "code", "37"}).code, 37);
    EXPECT_EQ(preloaded({programs + "malloc_endings", "signal", "15"}).signal, SIGTERM);
}

// ---- Statistics at the end

TEST(programs, without_the_option_nothing_is_written) {
    EXPECT_EQ(preloaded({programs + "malloc_endings"}).err, "");
}

TEST(programs, statistics_come_on_stderr_as_text_or_json) {
    const ended_child text =
        preloaded({programs + "malloc_endings"}, {{"STEADY_DEBUG", "stats_at_exit=1"}});
    EXPECT_EQ(text.code, 0);
    EXPECT_EQ(text.out, "");
    EXPECT_TRUE(is_text(text.err)) << text.err;
    const ended_child json = preloaded({programs + "malloc_endings"},
                                       {{"STEADY_DEBUG", "stats_at_exit=1,stats_json=1"}});
    EXPECT_TRUE(is_json(json.err)) << json.err;
}

TEST(programs, statistics_nobody_reads_do_not_change_the_exit_code) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        setenv("LD_PRELOAD", library.c_str(), 1);
        setenv("STEADY_DEBUG", "stats_at_exit=1", 1);
        execl((programs + "malloc_endings").c_str(), "malloc_endings", nullptr);
        _exit(99);
    }
    close(ends[1]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(programs, statistics_survive_a_closed_stderr_and_do_not_enter_the_log_that_took_its_place) {
    scratch_folder folder;
    const variables wanted{{"STEADY_DEBUG", "stats_at_exit=1"}};
    EXPECT_TRUE(is_text(preloaded({programs + "malloc_endings", "no-stderr"}, wanted).err));
    const fs::path log = folder.path / "log";
    EXPECT_TRUE(is_text(preloaded({programs + "malloc_endings", "log", log}, wanted).err));
    EXPECT_EQ(text_of(log), "");
}

TEST(programs, statistics_never_enter_a_file_the_program_opened_over_the_kept_descriptor) {
    scratch_folder folder;
    const fs::path data = folder.path / "data";
    const ended_child program = preloaded({programs + "malloc_endings", "all-files", data},
                                          {{"STEADY_DEBUG", "stats_at_exit=1"}});
    EXPECT_EQ(program.code, 0);
    EXPECT_EQ(text_of(data), "") << "the program's own file";
}

TEST(programs, statistics_go_to_the_named_file) {
    scratch_folder folder;
    const fs::path file = folder.path / "heap.json";
    const ended_child program =
        preloaded({programs + "malloc_endings"},
                  {{"STEADY_DEBUG", "stats_at_exit=1,stats_json=1,stats_file=" + file.string()}});
    EXPECT_EQ(program.err, "");
    EXPECT_TRUE(is_json(text_of(file))) << text_of(file);
}

TEST(programs, percent_p_gives_every_process_its_file) {
    scratch_folder folder;
    const std::string pattern = (folder.path / "heap-%p.txt").string();
    const ended_child program =
        preloaded({programs + "malloc_endings", "fork"},
                  {{"STEADY_DEBUG", "stats_at_exit=1,stats_file=" + pattern}});
    EXPECT_EQ(program.code, 0);
    int files = 0;
    for (const auto& entry : fs::directory_iterator(folder.path)) {
        ++files;
        EXPECT_TRUE(is_text(text_of(entry.path()))) << entry.path();
        EXPECT_EQ(entry.path().string().find('%'), std::string::npos);
    }
    EXPECT_EQ(files, 2) << "parent and child";
}

TEST(programs, a_file_that_cannot_be_written_is_reported_and_the_exit_code_stays) {
    const ended_child program =
        preloaded({programs + "malloc_endings", "code", "3"},
                  {{"STEADY_DEBUG", "stats_at_exit=1,stats_file=/no/such/folder/heap.txt"}});
    EXPECT_EQ(program.code, 3);
    EXPECT_NE(program.err.find("/no/such/folder/heap.txt (errno 2)"), std::string::npos)
        << program.err;
}

TEST(programs, a_process_that_ends_without_exit_leaves_none) {
    EXPECT_EQ(
        preloaded({programs + "malloc_endings", "quick"}, {{"STEADY_DEBUG", "stats_at_exit=1"}})
            .err,
        "");
}

// ---- What it exports

TEST(programs, the_library_exports_what_exports_map_names_and_nothing_else) {
    std::set<std::string> wanted, exported;
    std::ifstream map(STEADY_SOURCE_DIR "/src/malloc/exports.map");
    bool in_global = false;
    for (std::string line; std::getline(map, line);) {
        line = line.substr(0, line.find('#'));
        std::istringstream words(line);
        for (std::string word; words >> word;) {
            if (word == "global:")
                in_global = true;
            else if (word == "local:")
                in_global = false;
            else if (in_global && word.back() == ';')
                wanted.insert(word.substr(0, word.size() - 1));
        }
    }
    const ended_child nm = run({"nm", "-D", "--defined-only", library});
    ASSERT_EQ(nm.code, 0) << nm.err;
    std::istringstream lines(nm.out);
    for (std::string address, kind, name; lines >> address >> kind >> name;) exported.insert(name);
    EXPECT_EQ(exported, wanted);
    EXPECT_EQ(wanted.size(), 19u + 20u + 1u)
        << "19 C functions, 20 operators, the door of the profiler";
}

}  // namespace
