// preload_test.cpp - unmodified programs under `steady run --profile`.
//
// The programs that are started carry no sanitizer, whatever this test is built with.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "profile/support.hpp"

namespace {

using namespace steady::profile::test;
namespace fs = std::filesystem;

const std::string steady = STEADY_COMMAND_PATH;
const std::string program = STEADY_TEST_PROGRAMS "/profile_allocates";

class Preload : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/steady-preload-XXXXXX";
        folder = mkdtemp(name);
        file = folder + "/heap.pb.gz";
    }
    void TearDown() override { fs::remove_all(folder); }

    [[nodiscard]] std::string top(const std::string& options = "",
                                  const std::string& of = "") const {
        return run(pprof + " -top -nodecount=200 " + options + " " + (of.empty() ? file : of))
            .output;
    }
    std::string folder, file;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST_F(Preload, NamesWhoAllocatesAndWhoKeepsAndPassesTheExitCode) {
    const outcome o =
        run(steady + " run --profile " + file + " --rate 1 -- " + program + " keep 2000");
    EXPECT_EQ(WEXITSTATUS(o.status), 7) << o.output;
    EXPECT_EQ(o.output, "");
    const std::string kept = top("-sample_index=inuse_objects"),
                      made = top("-sample_index=alloc_objects");
    EXPECT_TRUE(has(kept, "keep_block")) << kept;
    EXPECT_FALSE(has(kept, "drop_block")) << kept;
    EXPECT_TRUE(has(made, "drop_block")) << made;
    EXPECT_FALSE(has(made, "write_pprof") || has(made, "eh_alloc")) << "our own memory\n" << made;
    const std::string flat =
        run(pprof + " -peek '^keep_block$' -sample_index=inuse_space " + file).output;
    EXPECT_TRUE(has(flat, "2000kB") || has(flat, "1.95MB")) << flat;  // 2000 objects of 1024 bytes
}

TEST_F(Preload, AllocsIsAProfileOfItsOwnAndTheDefaultRateSamples) {
    const std::string allocs = folder + "/allocs.pb.gz";
    const outcome o = run(steady + " run --allocs " + allocs + " -- " + program + " keep 20000");
    EXPECT_EQ(WEXITSTATUS(o.status), 7) << o.output;
    const std::string text = top("", allocs);
    EXPECT_TRUE(has(text, "Type: alloc_space")) << text;
    EXPECT_TRUE(has(text, "drop_block")) << text;
    EXPECT_FALSE(fs::exists(file));
}

TEST_F(Preload, SvgAndBaseAndWebOpenIt) {
    run(steady + " run --profile " + file + " --rate 1 -- " + program + " keep 500");
    const std::string second = folder + "/second.pb.gz";
    run(steady + " run --profile " + second + " --rate 1 -- " + program + " keep 900");
    const outcome svg = run(pprof + " -svg -output " + folder + "/out.svg " + file);
    EXPECT_EQ(svg.status, 0) << svg.output;
    EXPECT_GT(fs::file_size(folder + "/out.svg"), 1000u);
    const std::string difference = top("-sample_index=inuse_objects -base " + file, second);
    EXPECT_TRUE(has(difference, "keep_block")) << difference;
    const outcome web = run(
        "port=$((20000 + $$ % 20000)); " + pprof + " -no_browser -http 127.0.0.1:$port " + file +
        " >/dev/null 2>&1 & pid=$!; for i in $(seq 60); do sleep 0.1; "
        "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:'+str($port)+"
        "'/ui/flamegraph').read().decode())\" 2>/dev/null && break; done; kill $pid");
    EXPECT_TRUE(has(web.output, "keep_block")) << web.output.substr(0, 500);
}

TEST_F(Preload, TheCodeOfTheHeapIsTheSameWithSamplingOn) {
    const outcome o = run(steady + " run --profile " + file + " --rate 1 -- " + program + " text");
    EXPECT_EQ(o.output, "equal\n");
}

TEST_F(Preload, AStrippedProgramKeepsItsAddressesAndBuildId) {
    const std::string stripped = folder + "/stripped";
    ASSERT_EQ(run("strip -o " + stripped + " " + program).status, 0);
    const outcome o =
        run(steady + " run --profile " + file + " --rate 1 -- " + stripped + " keep 500");
    EXPECT_EQ(WEXITSTATUS(o.status), 7) << o.output;
    const std::string raw = run(pprof + " -raw " + file).output;
    EXPECT_TRUE(has(raw, stripped)) << raw.substr(0, 2000);
    EXPECT_TRUE(has(raw, "__libc_start")) << "the stack goes through the stripped program";
}

TEST_F(Preload, AStaticProgramRunsAndTheReasonForNoProfileIsSaid) {
    const std::string source = folder + "/s.c", binary = folder + "/s";
    std::ofstream(source) << "int main(void) { return 5; }\n";
    if (run("cc -static -o " + binary + " " + source).status != 0) GTEST_SKIP() << "no static libc";
    const outcome o = run(steady + " run --profile " + file + " -- " + binary);
    EXPECT_EQ(WEXITSTATUS(o.status), 5);
    EXPECT_TRUE(has(o.output, "statically linked")) << o.output;
}

TEST_F(Preload, APlaceThatCannotBeWrittenIsSaidAndTheExitCodeStays) {
    const outcome o = run(steady + " run --profile /nowhere/heap.pb.gz -- " + program + " keep 10");
    EXPECT_EQ(WEXITSTATUS(o.status), 7);
    EXPECT_TRUE(has(o.output, "/nowhere/heap.pb.gz: the folder does not exist")) << o.output;
}

TEST_F(Preload, ARateThatIsNoNumberIsRefused) {
    const outcome o = run(steady + " run --rate often --profile " + file + " -- true");
    EXPECT_EQ(WEXITSTATUS(o.status), 2);
    EXPECT_TRUE(has(o.output, "'often'")) << o.output;
}

TEST_F(Preload, ASignalWritesOneFileAndTheEndAnother) {
    const outcome o = run("mkfifo " + folder + "/in; (STEADY_DEBUG=profile_signal=usr2 exec " +
                          steady + " run --rate 1 --profile " + folder + "/%n.pb.gz -- " + program +
                          " wait < " + folder + "/in > " + folder + "/out) & pid=$!; exec 9> " +
                          folder + "/in; for i in $(seq 100); do grep -q ready " + folder +
                          "/out && break; sleep 0.05; done; "
                          "kill -USR2 $pid; for i in $(seq 100); do [ -e " +
                          folder +
                          "/1.pb.gz ] && break; sleep 0.05; "
                          "done; echo >&9; wait $pid; echo exit $?");
    EXPECT_TRUE(has(o.output, "exit 0")) << o.output;
    ASSERT_TRUE(fs::exists(folder + "/2.pb.gz")) << o.output;
    const std::string more =
        top("-sample_index=inuse_objects -base " + folder + "/1.pb.gz", folder + "/2.pb.gz");
    EXPECT_TRUE(has(more, "keep_block")) << more;
}

TEST_F(Preload, AProgramThatClosesEverythingLeavesItsProfile) {
    const outcome o = run(steady + " run --profile " + file + " -- " + program + " close");
    EXPECT_EQ(o.status, 0) << o.output;
    EXPECT_EQ(run(pprof + " -raw " + file).status, 0);
}

TEST_F(Preload, AFailedAllocationLeavesAProfileThoughTheProgramEndsHard) {
    const outcome o = run("STEADY_DEBUG=hard_memory_limit=256MiB " + steady +
                          " run --rate 1 --profile " + file + " -- " + program + " fail");
    EXPECT_TRUE(has(o.output, "no memory")) << o.output;
    ASSERT_TRUE(fs::exists(file)) << o.output;
    EXPECT_TRUE(has(top(), "keep_block"));
}

TEST_F(Preload, AForkedChildHasAProfileOfItsOwn) {
    const outcome o =
        run(steady + " run --rate 1 --profile " + folder + "/%p.pb.gz -- " + program + " fork");
    EXPECT_EQ(WEXITSTATUS(o.status), 3) << o.output;
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
        ++files;
        EXPECT_TRUE(has(top("-sample_index=inuse_objects", entry.path()), "keep_block"));
    }
    EXPECT_EQ(files, 2u);
}

// ---- Real programs: right results, and the functions one expects.

TEST_F(Preload, PythonNamesItsAllocationFunctions) {
    const outcome o =
        run(steady + " run --rate 256KiB --profile " + file +
            " -- python3 -c \"print(sum(len(str(i)) for i in [list(range(400000))][0]))\"");
    EXPECT_EQ(o.output, "2288890\n");
    const std::string text = top("-sample_index=alloc_space");
    EXPECT_TRUE(has(text, "_PyObject_Malloc") || has(text, "PyObject_Malloc")) << text;
    EXPECT_TRUE(has(text, "Py_BytesMain")) << text;
}

TEST_F(Preload, Sqlite3NamesItsPageCacheAndParser) {
    const outcome o =
        run(steady + " run --rate 256KiB --profile " + file +
            " -- sqlite3 :memory: \"create table t(a integer, b text); with recursive n(i) as "
            "(values(1) union all select i + 1 from n where i < 50000) insert into t select i, "
            "hex(randomblob(50)) from n; select count(*), sum(a) from t;\"");
    EXPECT_EQ(o.output, "50000|1250025000\n");
    const std::string text = top("-sample_index=alloc_space");
    // Without debug information: names from the dynamic symbols.
    EXPECT_TRUE(has(text, "sqlite3_step") || has(text, "sqlite3_exec")) << text;
}

TEST_F(Preload, GccsCompilerNamesItsAllocationFunctions) {
    const std::string source = folder + "/x.cpp";
    std::ofstream(source)
        << "#include <map>\n#include <string>\n"
           "int main() { std::map<std::string, int> m; m[\"a\"] = 1; return m.size() - 1; }\n";
    const outcome o = run("cd " + folder + " && " + steady + " run --rate 64KiB --profile " +
                          folder + "/%p.pb.gz -- g++ -O1 -o x x.cpp && ./x && echo ran");
    EXPECT_TRUE(has(o.output, "ran")) << o.output;
    bool named = false;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().extension() == ".gz")
            named = named || has(top("-sample_index=alloc_space", entry.path()), "xmalloc");
    }
    EXPECT_TRUE(named);
}

TEST_F(Preload, RedisUnderItsBenchmarkNamesTheCallersOfZmalloc) {
    const outcome o = run(
        "cd " + folder + "; port=$((20000 + $$ % 20000)); " + steady +
        " run --rate 256KiB --profile " + file +
        " -- redis-server --port $port --save '' --appendonly no >/dev/null & pid=$!; "
        "for i in $(seq 100); do redis-cli -p $port ping 2>/dev/null | grep -q PONG && break; "
        "sleep 0.05; done; redis-benchmark -p $port -n 40000 -P 16 -r 100000 -q -t set,lpush "
        ">/dev/null; redis-cli -p $port set answer 42 >/dev/null; redis-cli -p $port get answer; "
        "redis-cli -p $port shutdown nosave; wait $pid; echo exit $?");
    EXPECT_TRUE(has(o.output, "42")) << o.output;
    EXPECT_TRUE(has(o.output, "exit 0")) << o.output;
    const std::string text = top("-sample_index=alloc_space");
    EXPECT_TRUE(has(text, "zmalloc") || has(text, "ztrymalloc")) << text;
    EXPECT_TRUE(has(text, "processCommand") || has(text, "lpushCommand") ||
                has(text, "createClient"))
        << text;
}

}  // namespace
