// Reading /proc without libc: every line whole, long ones cut, nothing lost in between.
#include "steady/os/detail/lines.hpp"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using steady::os::detail::line_reader;

std::vector<std::string> all_lines(line_reader& reader) {
    std::vector<std::string> lines;
    for (std::string_view line; reader.next(line);) lines.emplace_back(line);
    return lines;
}

std::vector<std::string> through_a_file(const std::string& text) {
    char path[] = "/tmp/steady-lines-XXXXXX";
    close(mkstemp(path));
    std::ofstream(path, std::ios::binary) << text;
    line_reader reader(path);
    auto lines = all_lines(reader);
    std::remove(path);
    return lines;
}

TEST(line_reader, reads_lines_that_cross_its_buffer) {
    std::string text;
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < 500; ++i) {
        expected.push_back(std::string(i * 37 % 900, static_cast<char>('a' + i % 26)));
        text += expected.back() + "\n";
    }
    EXPECT_EQ(through_a_file(text), expected);
    line_reader memory{std::string_view(text)};
    EXPECT_EQ(all_lines(memory), expected);
}

TEST(line_reader, a_last_line_needs_no_end_mark) {
    EXPECT_EQ(through_a_file("one\ntwo"), (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(through_a_file("\n\n"), (std::vector<std::string>{"", ""}));
    EXPECT_TRUE(through_a_file("").empty());
}

TEST(line_reader, a_line_longer_than_the_buffer_is_cut_and_the_next_is_whole) {
    for (const std::size_t length : {2047u, 2048u, 2049u, 4096u, 5000u, 100'000u}) {
        const std::string text = "first\n" + std::string(length, 'x') + "\nlast\n";
        const auto lines = through_a_file(text);
        ASSERT_EQ(lines.size(), 3u) << length;
        EXPECT_EQ(lines[0], "first");
        EXPECT_EQ(lines[1], std::string(lines[1].size(), 'x'));
        EXPECT_GE(lines[1].size(), 1024u);
        EXPECT_EQ(lines[2], "last");
    }
}

TEST(line_reader, a_file_that_is_not_there_has_no_lines) {
    line_reader reader("/proc/self/no-such-file");
    EXPECT_TRUE(all_lines(reader).empty());
    std::uint64_t number = 7;
    EXPECT_FALSE(steady::os::detail::read_number("/proc/self/no-such-file", number));
    EXPECT_EQ(number, 7u);
}

TEST(take_number, stops_at_the_first_other_character_and_saturates) {
    std::string_view text = "7f3a-ffg";
    std::uint64_t n = 0;
    ASSERT_TRUE(steady::os::detail::take_number(text, n, 16));
    EXPECT_EQ(n, 0x7f3au);
    EXPECT_EQ(text, "-ffg");
    EXPECT_FALSE(steady::os::detail::take_number(text, n));
    text = "99999999999999999999999x";
    ASSERT_TRUE(steady::os::detail::take_number(text, n));
    EXPECT_EQ(n, ~std::uint64_t{0});
    EXPECT_EQ(text, "x");
}

}  // namespace
