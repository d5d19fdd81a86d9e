// introspection_test.cpp - glibc's questions get answers that fit together.
#include <cerrno>
#include <climits>
#include <string>
#include <unistd.h>
#include <vector>

#include "support.hpp"

namespace {

TEST(introspection, mallinfo2_follows_what_the_program_holds) {
    const struct mallinfo2 before = mallinfo2();
    std::vector<void*> blocks(1000);
    for (void*& p : blocks) p = get(1000);
    const struct mallinfo2 during = mallinfo2();
    for (void* p : blocks) put(p);
    const struct mallinfo2 after = mallinfo2();
    EXPECT_GE(during.uordblks, before.uordblks + 1'000'000);
    EXPECT_LE(during.uordblks, before.uordblks + 1'200'000);
    EXPECT_LT(after.uordblks, during.uordblks - 900'000);
    for (const auto& m : {before, during, after}) EXPECT_EQ(m.arena, m.uordblks + m.fordblks);
}

TEST(introspection, mallinfo2_knows_huge_blocks) {
    const struct mallinfo2 before = mallinfo2();
    void* p = get(std::size_t{64} << 20);
    const struct mallinfo2 during = mallinfo2();
    EXPECT_GE(during.hblkhd, before.hblkhd + (std::size_t{64} << 20));
    EXPECT_GE(during.hblks, before.hblks + 1);
    put(p);
    EXPECT_LT(mallinfo2().hblkhd, during.hblkhd);
}

TEST(introspection, mallinfo_agrees_with_mallinfo2_and_never_wraps_round) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    const struct mallinfo small = mallinfo();
    EXPECT_EQ(static_cast<std::size_t>(small.arena),
              static_cast<std::size_t>(small.uordblks) + static_cast<std::size_t>(small.fordblks));
    if (!on_steady()) return;  // glibc wraps
    void* p = get(std::size_t{5} << 30);
    EXPECT_EQ(mallinfo().hblkhd, INT_MAX);
    put(p);
#pragma GCC diagnostic pop
}

TEST(introspection, malloc_trim_gives_back_what_was_freed) {
    std::vector<void*> blocks(20'000);
    for (void*& p : blocks) std::memset(p = get(5000), 1, 5000);
    for (void* p : blocks) put(p);
    malloc_trim(0);
    long pages = 0;
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    ASSERT_EQ(std::fscanf(statm, "%*d %ld", &pages), 1);
    std::fclose(statm);
    EXPECT_LT(pages * sysconf(_SC_PAGESIZE), 60 << 20) << "100 MB were freed";
    EXPECT_GE(malloc_trim(0), 0);
}

TEST(introspection, mallopt_takes_glibcs_advice_and_says_no_to_nonsense) {
    EXPECT_EQ(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    EXPECT_EQ(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    EXPECT_EQ(mallopt(M_TOP_PAD, 0), 1);
    EXPECT_EQ(mallopt(M_ARENA_MAX, 2), 1);
    EXPECT_EQ(mallopt(M_MXFAST, 64), 1);
    EXPECT_EQ(mallopt(M_MXFAST, 100'000), 0);
    if (on_steady()) {
        EXPECT_EQ(mallopt(M_PERTURB, 0x55), 0) << "not filled, so not promised";
        EXPECT_EQ(mallopt(12345, 1), 0);
    }
}

std::string text_of_malloc_info() {
    char* text = nullptr;
    std::size_t length = 0;
    std::FILE* out = open_memstream(&text, &length);
    EXPECT_EQ(malloc_info(0, out), 0);
    std::fclose(out);
    std::string result(text, length);
    put(text);
    return result;
}

/// Empty when every element that opens closes in the right order; the complaint else.
std::string xml_complaint(const std::string& xml) {
    std::vector<std::string> open;
    for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
        const std::size_t end = xml.find('>', at);
        if (end == std::string::npos) return "no > after " + xml.substr(at, 20);
        const std::string tag = xml.substr(at + 1, end - at - 1);
        const std::string name =
            tag.substr(tag[0] == '/', tag.find_first_of(" /", 1) - (tag[0] == '/'));
        if (tag.back() == '/') continue;
        if (tag[0] != '/') {
            open.push_back(tag.substr(0, tag.find(' ')));
        } else {
            if (open.empty() || open.back() != tag.substr(1)) return "unexpected <" + tag + ">";
            open.pop_back();
        }
    }
    return open.empty() ? "" : "<" + open.back() + "> stays open";
}

TEST(introspection, malloc_info_writes_glibcs_xml) {
    std::vector<void*> blocks(100);
    for (void*& p : blocks) p = get(77);
    for (void* p : blocks) put(p);
    const std::string xml = text_of_malloc_info();
    EXPECT_EQ(xml_complaint(xml), "") << xml;
    EXPECT_EQ(xml.rfind("<malloc version=\"1\">", 0), 0u);
    for (const char* part :
         {"<heap nr=\"0\">", "<sizes>", "<total type=\"fast\" count=\"",
          "<total type=\"rest\" count=\"", "<total type=\"mmap\" count=\"",
          "<system type=\"current\" size=\"", "<system type=\"max\" size=\"",
          "<aspace type=\"total\" size=\"", "<aspace type=\"mprotect\" size=\"", "</malloc>"}) {
        EXPECT_NE(xml.find(part), std::string::npos) << part;
    }
}

TEST(introspection, malloc_info_refuses_options) {
    EXPECT_EQ(malloc_info(1, stderr), EINVAL);
}

TEST(introspection, malloc_stats_writes_to_stderr) {
    testing::internal::CaptureStderr();
    malloc_stats();
    EXPECT_GT(testing::internal::GetCapturedStderr().size(), 50u);
}

}  // namespace
