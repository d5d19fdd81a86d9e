// run_command_test.cpp - `steady run` is not there once the program runs, and
// clear when it cannot.
#include <gtest/gtest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "malloc/child.hpp"

#if defined(STEADY_COMMAND_PATH)

namespace {

namespace fs = std::filesystem;

const std::string endings = STEADY_TEST_PROGRAMS "/malloc_endings";
const std::string library = STEADY_MALLOC_LIBRARY_PATH;

ended_child steady_run(std::vector<std::string> words, variables change = {}) {
    words.insert(words.begin(), {STEADY_COMMAND_PATH, "run"});
    change.emplace("STEADY_MALLOC_LIBRARY", library);
    return run(std::move(words), change);
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct scratch_folder {
    fs::path path = fs::temp_directory_path() / ("steady-run-" + std::to_string(getpid()));
    scratch_folder() { fs::create_directories(path); }
    ~scratch_folder() { fs::remove_all(path); }

    std::string write(const char* name, const std::string& text, fs::perms permissions) const {
        std::ofstream(path / name) << text;
        fs::permissions(path / name, permissions);
        return path / name;
    }
};

TEST(run_command, the_program_gets_the_library_and_its_arguments) {
    const ended_child program =
        steady_run({"--", endings, "environment", "--stats", "", "two words", "--"});
    EXPECT_EQ(program.code, 0) << program.err;
    EXPECT_EQ(program.out, library + "\n\n--stats\n\ntwo words\n--\n");
}

TEST(run_command, the_separator_may_be_left_out) {
    const ended_child program =
        steady_run({"--stats", endings, "environment", "--stats=json", "-x"});
    EXPECT_EQ(program.code, 0) << program.err;
    EXPECT_EQ(program.out, library + "\nstats_at_exit=1,stats_json=0\n--stats=json\n-x\n");
}

TEST(run_command, exit_codes_and_signals_are_the_programs_own) {
    EXPECT_EQ(steady_run({"--", endings, "code", "0"}).code, 0);
    EXPECT_EQ(steady_run({"--", endings, "code", "1"}).code, 1);
    EXPECT_EQ(steady_run({"--", endings, "code", "127"}).code, 127);
    EXPECT_EQ(steady_run({"--", endings, "signal", "9"}).signal, SIGKILL);
    EXPECT_EQ(steady_run({"--", endings, "signal", "11"}).signal, SIGSEGV);
}

TEST(run_command, programs_are_found_along_path) {
    const std::string folder = fs::path(endings).parent_path();
    EXPECT_EQ(
        steady_run({"--", "malloc_endings", "code", "5"}, {{"PATH", "/no/such:" + folder}}).code,
        5);
}

TEST(run_command, what_was_preloaded_before_stays_behind_the_library) {
    const std::string other = STEADY_TEST_PROGRAMS "/malloc_guest.so";
    const ended_child program = steady_run({"--", endings, "environment"}, {{"LD_PRELOAD", other}});
    EXPECT_EQ(program.out, library + ":" + other + "\n\n");
}

TEST(run_command, statistics_come_as_text_json_or_file) {
    EXPECT_TRUE(
        contains(steady_run({"--stats", "--", endings}).err, "statistics of malloc_endings"));
    const ended_child json = steady_run({"--stats=json", "--", endings});
    EXPECT_EQ(json.err.substr(0, 1), "{") << json.err;
    scratch_folder folder;
    const fs::path file = folder.path / "heap.txt";
    EXPECT_EQ(steady_run({"--stats-file", file, "--", endings}).err, "");
    EXPECT_GT(fs::file_size(file), 100u);
}

TEST(run_command, options_of_steady_debug_are_kept_and_ours_come_last) {
    const ended_child program = steady_run({"--stats=json", "--", endings, "environment"},
                                           {{"STEADY_DEBUG", "check=1,stats_at_exit=0"}});
    EXPECT_TRUE(contains(program.out, "\ncheck=1,stats_at_exit=0,stats_at_exit=1,stats_json=1\n"))
        << program.out;
}

TEST(run_command, a_file_for_statistics_is_named_from_here_wherever_the_program_goes) {
    const ended_child program =
        steady_run({"--stats-file", "x/../heap.txt", "--", endings, "environment"});
    EXPECT_TRUE(contains(program.out, "stats_file=" + (fs::current_path() / "heap.txt").string()))
        << program.out;
    fs::remove("heap.txt");
}

TEST(run_command, a_program_that_is_not_there_gives_127) {
    const ended_child by_name = steady_run({"--", "no-such-program"}, {{"PATH", "/bin:/usr/bin"}});
    EXPECT_EQ(by_name.code, 127);
    EXPECT_TRUE(contains(by_name.err, "no program 'no-such-program' in PATH (/bin:/usr/bin)"))
        << by_name.err;
    const ended_child by_path = steady_run({"--", "/no/such/program"});
    EXPECT_EQ(by_path.code, 127);
    EXPECT_TRUE(contains(by_path.err, "no file '/no/such/program'")) << by_path.err;
}

TEST(run_command, a_program_that_cannot_be_executed_gives_126) {
    scratch_folder folder;
    const std::string file = folder.write("plain", "text\n", fs::perms::owner_read);
    const ended_child program = steady_run({"--", file});
    EXPECT_EQ(program.code, 126);
    EXPECT_TRUE(contains(program.err, "Permission denied")) << program.err;
    EXPECT_EQ(steady_run({"--", folder.path}).code, 126);
    EXPECT_EQ(steady_run({"--", "plain"}, {{"PATH", folder.path}}).code, 126);
}

TEST(run_command, scripts_run_with_and_without_a_first_line) {
    scratch_folder folder;
    const auto executable = fs::perms::owner_all;
    EXPECT_EQ(steady_run({"--", folder.write("a", "#!/bin/sh\nexit 4\n", executable)}).code, 4);
    EXPECT_EQ(steady_run({"--", folder.write("b", "exit 6\n", executable)}).code, 6);
}

TEST(run_command, says_when_preloading_has_no_effect) {
    scratch_folder folder;
    const std::string static_program = folder.path / "static";
    const std::string source =
        folder.write("static.c", "int main(void) { return 3; }\n", fs::perms::owner_read);
    if (run({"cc", "-static", "-o", static_program, source}).code == 0) {
        const ended_child program = steady_run({"--", static_program});
        EXPECT_EQ(program.code, 3);
        EXPECT_TRUE(contains(program.err, "is statically linked, so preloading has no effect"))
            << program.err;
        const ended_child script = steady_run(
            {"--", folder.write("script", "#! " + static_program + " x\n", fs::perms::owner_all)});
        EXPECT_EQ(script.code, 3);
        EXPECT_TRUE(contains(script.err, "is statically linked")) << script.err;
    }
    if (getuid() == 0) {
        const std::string setuid_program = folder.path / "setuid";
        fs::copy_file("/bin/true", setuid_program);
        ASSERT_EQ(chown(setuid_program.c_str(), 65534, 65534), 0);
        ASSERT_EQ(chmod(setuid_program.c_str(), 04755), 0);
        const ended_child program = steady_run({"--", setuid_program});
        EXPECT_TRUE(contains(program.err, "is setuid, so preloading has no effect")) << program.err;
        EXPECT_EQ(program.code, 0);
    }
}

TEST(run_command, the_loader_as_a_program_preloads) {
    for (const char* loader : {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"}) {
        if (!fs::exists(loader)) continue;
        const ended_child program = steady_run({"--", loader, endings, "environment"});
        EXPECT_EQ(program.code, 0);
        EXPECT_EQ(program.err, "");
    }
}

// As without /proc: reading links is forbidden, also to what is executed.
TEST(run_command, without_proc_no_library_is_taken_from_the_current_directory) {
    const scratch_folder scratch;
    fs::copy_file(library, scratch.path / "libsteady_malloc.so");
    const int err = memfd_create("err", MFD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
#if defined(SYS_readlink)
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_readlink, 1, 0),
#endif
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_readlinkat, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOENT),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
        };
        const sock_fprog program{sizeof code / sizeof code[0], code};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(98);
        unsetenv("STEADY_MALLOC_LIBRARY");
        dup2(err, 2);
        if (chdir(scratch.path.c_str()) != 0) _exit(97);
        execl(STEADY_COMMAND_PATH, "steady", "run", "--", "/bin/true", nullptr);
        _exit(99);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 98) GTEST_SKIP() << "no seccomp here";
    const std::string said = content_of(err);
    close(err);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 125) << said;
    EXPECT_TRUE(contains(said, "/proc/self/exe cannot be read")) << said;
}

TEST(run_command, a_missing_library_gives_125_and_the_places_it_was_looked_for) {
    const ended_child named =
        steady_run({"--", endings}, {{"STEADY_MALLOC_LIBRARY", "/no/such.so"}});
    EXPECT_EQ(named.code, 125);
    EXPECT_TRUE(contains(named.err, "/no/such.so")) << named.err;

    scratch_folder folder;  // the command alone, away from its library
    const std::string copy = folder.path / "steady";
    fs::copy_file(STEADY_COMMAND_PATH, copy);
    const ended_child alone = run({copy, "run", "--", endings});
    EXPECT_EQ(alone.code, 125);
    EXPECT_TRUE(contains(alone.err, (folder.path / "libsteady_malloc.so").string())) << alone.err;
}

TEST(run_command, finds_the_library_beside_itself) {
    scratch_folder folder;
    const std::string copy = folder.path / "steady", beside = folder.path / "libsteady_malloc.so";
    fs::copy_file(STEADY_COMMAND_PATH, copy);
    fs::copy_file(library, beside);
    EXPECT_EQ(run({copy, "run", "--", endings, "environment"}).out,
              fs::canonical(beside).string() + "\n\n");
}

TEST(run_command, wrong_usage_gives_2) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{},
                                               {"--"},
                                               {"--stats"},
                                               {"--stats=xml", "true"},
                                               {"--no-such-option", "true"},
                                               {"--stats-file"},
                                               {"--stats-file", "a,b", "true"},
                                               {"--stats-file", std::string(300, 'x'), "true"}}) {
        const ended_child program = steady_run(words);
        EXPECT_EQ(program.code, 2) << testing::PrintToString(words) << program.err;
        EXPECT_NE(program.err, "");
    }
}

TEST(run_command, a_library_whose_path_the_loader_cannot_read_is_refused) {
    scratch_folder folder;
    const std::string odd = folder.path / "a b.so";
    fs::copy_file(library, odd);
    const ended_child program = steady_run({"--", endings}, {{"STEADY_MALLOC_LIBRARY", odd}});
    EXPECT_NE(program.code, 0);
    EXPECT_TRUE(contains(program.err, "cannot preload")) << program.err;
}

}  // namespace

#else

TEST(run_command, is_built) {
    GTEST_SKIP() << "the command `steady` was not built";
}

#endif
