// registry.cpp - see experiment.hpp.
#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "lab/experiment.hpp"

namespace steady::cli::lab {
namespace {

std::vector<entry>& registered() {
    static std::vector<entry> all;
    return all;
}

}  // namespace

experiment::experiment(const entry& e) {
    registered().push_back(e);
}

std::vector<entry> all_experiments() {
    std::vector<entry> found = registered();
    // Of two with one id the one that runs stands first and stays.
    std::sort(found.begin(), found.end(), [](const entry& a, const entry& b) {
        const int order = std::strcmp(a.id, b.id);
        return order != 0 ? order < 0 : (a.run != nullptr) > (b.run != nullptr);
    });
    found.erase(
        std::unique(found.begin(), found.end(),
                    [](const entry& a, const entry& b) { return std::strcmp(a.id, b.id) == 0; }),
        found.end());
    return found;
}

void laboratory::figure(std::string label, double value, unit in, beside others) {
    into_.rows.push_back({std::move(label), in, {value}, {}, std::move(others)});
}

void laboratory::text(std::string label, std::string value, beside others) {
    into_.rows.push_back({std::move(label), unit::number, {}, std::move(value), std::move(others)});
}

bool laboratory::expect(std::string sentence, std::string_view seen, std::string_view expected) {
    const bool passed = seen == expected;
    into_.checks.push_back({std::move(sentence), std::string(seen), std::string(expected), passed});
    return passed;
}

bool laboratory::expect_within(std::string sentence, double seen, double least, double most) {
    const bool passed = seen >= least && seen <= most;
    into_.checks.push_back({std::move(sentence), fmt::format("{:g}", seen),
                            fmt::format("{:g} to {:g}", least, most), passed});
    return passed;
}

void laboratory::impossible(std::string why) {
    into_.impossible.push_back(std::move(why));
}

void laboratory::note(std::string text) {
    into_.notes.push_back(std::move(text));
}

void laboratory::refused(std::string what) {
    into_.refused.push_back(std::move(what));
}

void laboratory::plot(curve drawn) {
    into_.curves.push_back(std::move(drawn));
}

}  // namespace steady::cli::lab
