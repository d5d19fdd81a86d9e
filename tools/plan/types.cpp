// types.cpp - see types.hpp.
#include "plan/types.hpp"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "support/exit_code.hpp"

namespace steady::cli::plan {
namespace {

constexpr std::size_t largest_type = std::size_t{1} << 20;
constexpr std::size_t largest_alignment = 256;

bool all_digits(const std::string& s) {
    if (s.empty()) return false;
    for (const char c : s) {
        if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
    }
    return true;
}

/// A size of up to 1 MiB.
std::size_t parse_size(const std::string& digits, const std::string& word) {
    if (!all_digits(digits) || digits.size() > 9 || std::stoul(digits) > largest_type) {
        throw usage_error(fmt::format("plan: '{}' is no type: a size is a number from 1 to {}",
                                      word, largest_type));
    }
    return std::stoul(digits);
}

type plain(const std::string& name, std::size_t size, std::size_t alignment) {
    type t;
    t.name = name;
    t.size = size;
    t.alignment = alignment;
    t.distinct = size < 8 ? std::exp2(8.0 * static_cast<double>(size)) : 0;
    t.cheap_to_hash = size <= 16;
    return t;
}

}  // namespace

type parse_type(const std::string& word) {
    static const std::map<std::string, std::size_t> numbers = {
        {"int8", 1},   {"int16", 2},  {"int32", 4}, {"int64", 8}, {"uint8", 1},   {"uint16", 2},
        {"uint32", 4}, {"uint64", 8}, {"int", 8},   {"uint", 8},  {"float32", 4}, {"float64", 8},
        {"i8", 1},     {"i16", 2},    {"i32", 4},   {"i64", 8},   {"u8", 1},      {"u16", 2},
        {"u32", 4},    {"u64", 8},    {"f32", 4},   {"f64", 8}};
    if (const auto found = numbers.find(word); found != numbers.end()) {
        return plain(word, found->second, found->second);
    }
    if (word == "bool") {
        type t = plain(word, 1, 1);
        t.distinct = 2;
        return t;
    }
    if (word == "void" || word == "-") return plain("void", 0, 1);
    if (word == "string" || word == "str") {
        type t = plain("string", 32, 8);
        t.text = t.pointers = true;
        t.cheap_to_hash = t.fast_std_hash = false;
        return t;
    }
    if (word.rfind("bytes", 0) == 0 && word.size() > 5) {
        const std::size_t size = parse_size(word.substr(5), word);
        if (size != 0) {
            type t = plain(word, size, 1);
            t.fast_std_hash = false;  // no std::hash is known to be fast
            return t;
        }
    }
    if (const std::size_t colon = word.find(':'); colon != std::string::npos) {
        const std::size_t size = parse_size(word.substr(0, colon), word);
        const std::string after = word.substr(colon + 1);
        const std::size_t alignment = all_digits(after) && after.size() < 5 ? std::stoul(after) : 0;
        if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > largest_alignment) {
            throw usage_error(fmt::format("plan: '{}': an alignment is a power of two from 1 to {}",
                                          word, largest_alignment));
        }
        if (size == 0 || size % alignment != 0) {
            throw usage_error(
                fmt::format("plan: '{}': the size of a type is a multiple of its alignment; {} "
                            "or {} would be",
                            word, size / alignment * alignment + alignment,
                            size / alignment * alignment + 2 * alignment));
        }
        type t = plain(word, size, alignment);
        t.pointers = true;  // nobody said that it holds none
        t.fast_std_hash = false;
        return t;
    }
    throw usage_error(fmt::format(
        "plan: '{}' is no type; there are int8..int64, uint8..uint64, float32, float64, bool, "
        "string, bytesN, N:ALIGN and void",
        word));
}

std::uint64_t parse_count(const std::string& word) {
    std::string digits;
    for (const char c : word) {
        if (c != '_' && c != ',' && c != '\'') digits += c;
    }
    const auto refuse = [&word](const char* why) {
        throw usage_error(fmt::format(
            "plan: '{}' is no count: {}; write 100000, 100_000, 1e5, 100k or 2M", word, why));
    };
    if (digits.empty() || std::isdigit(static_cast<unsigned char>(digits[0])) == 0) {
        refuse("it does not begin with a digit");
    }
    char* end = nullptr;
    const long double value = std::strtold(digits.c_str(), &end);
    long double times = 1;
    switch (*end) {
        case 'k':
        case 'K':
            times = 1e3L;
            ++end;
            break;
        case 'm':
        case 'M':
            times = 1e6L;
            ++end;
            break;
        case 'g':
        case 'G':
            times = 1e9L;
            ++end;
            break;
        default: break;
    }
    if (*end != '\0' || digits[1] == 'x' || digits[1] == 'X') {
        refuse("there is more than a number");
    }
    const long double count = value * times;
    constexpr long double most = 281474976710656.0L;
    if (!(count <= most)) {
        throw usage_error(fmt::format(
            "plan: {} entries are more than 2^48 = 281474976710656, the most that is planned; no "
            "machine could address them",
            word));
    }
    if (count != std::floor(count)) refuse("it is not whole");
    return static_cast<std::uint64_t>(count);
}

length_distribution parse_lengths(const std::string& word) {
    length_distribution d;
    d.name = word;
    static constexpr double longest = 1 << 30;
    const auto number = [&word](std::size_t from) {
        char* end = nullptr;
        const double n = std::strtod(word.c_str() + from, &end);
        if (from == word.size() || *end != '\0' || !(n >= 0) || n > longest) {
            throw usage_error(fmt::format(
                "plan: '{}' is no length distribution: after the colon comes a length from 0 to "
                "{:.0f}",
                word, longest));
        }
        return n;
    };
    if (word.rfind("fixed:", 0) == 0) {
        const double length = number(6);
        if (length != std::floor(length)) {
            throw usage_error(fmt::format(
                "plan: '{}': a fixed length is a whole number; mean:N takes others", word));
        }
        d.shares.push_back({static_cast<std::size_t>(length), 1});
        return d;
    }
    if (word.rfind("mean:", 0) == 0) {
        const double mean = number(5), reach = 8 * std::sqrt(mean) + 12;
        const double first = mean > reach ? std::floor(mean - reach) : 0;
        double sum = 0;
        for (double n = first; n <= mean + reach; ++n) {
            const double part = mean == 0
                                    ? (n == 0 ? 1 : 0)
                                    : std::exp(n * std::log(mean) - mean - std::lgamma(n + 1));
            d.shares.push_back({static_cast<std::size_t>(n), part});
            sum += part;
        }
        for (auto& s : d.shares) s.part /= sum;
        return d;
    }
    std::ifstream file(word);
    file.peek();
    if (!file.is_open() || file.bad()) {  // a directory opens, and cannot be read
        throw usage_error(fmt::format(
            "plan: '{}' is no length distribution: neither fixed:N nor mean:N, and no file that "
            "can be read",
            word));
    }
    double sum = 0;
    std::size_t number_of_line = 0;
    for (std::string line; std::getline(file, line);) {
        ++number_of_line;
        if (line.empty() || line[0] == '#') continue;
        std::istringstream fields(line);
        double length = -1, times = -1;
        std::string rest;
        if (!(fields >> length >> times) || (fields >> rest) || !(length >= 0) ||
            length > longest || !(times >= 0) || !std::isfinite(times)) {
            throw usage_error(
                fmt::format("plan: {}, line {}: '{}' is not `LENGTH COUNT`, such as `12 3000`",
                            word, number_of_line, line.substr(0, 60)));
        }
        d.shares.push_back({static_cast<std::size_t>(length), times});
        sum += times;
    }
    if (sum == 0) {
        throw usage_error(fmt::format("plan: {} says of no length that it comes", word));
    }
    for (auto& s : d.shares) s.part /= sum;
    return d;
}

}  // namespace steady::cli::plan
