// ledger_test.cpp - ledgers count exactly, from many threads, and notice when more
// goes out than came in.

#include "steady/core/ledger.hpp"
#include "support/fatal_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace {

using namespace steady;

TEST(Ledger, AddsSubtractsAndKnowsItsName) {
    static constinit ledger ready{"os.ready"};
    EXPECT_STREQ(ready.name(), "os.ready");
    EXPECT_EQ(ready.value(), 0_B);
    ready.add(64_KiB);
    ready.sub(4_KiB);
    EXPECT_EQ(ready.value(), 60_KiB);
    ready.sub(60_KiB);
    EXPECT_EQ(ready.value(), 0_B) << "taking out everything is no underflow";
}

constinit ledger counted_early{"early"};

// Runs before the constructors of this program and of the libraries it starts with.
[[gnu::constructor(101)]] void before_constructors() {
    counted_early.add(8_KiB);
}

TEST(Ledger, KeepsWhatWasEnteredBeforeConstructors) {
    EXPECT_EQ(counted_early.value(), 8_KiB);
}

TEST(Ledger, IsExactWhenManyThreadsChangeIt) {
    static constinit ledger shared{"test"};
    shared.add(1_B);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 20000; ++i) {
                shared.add(3_B);
                shared.sub(2_B);
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(shared.value(), bytes{1 + 4 * 20000});
}

TEST(Ledger, StopsWhenMoreIsTakenOutThanWasPutIn) {
    if (STEADY_CHECK < 1) GTEST_SKIP() << "L1 is checked from STEADY_CHECK=1 on";
    static constinit ledger small{"heap.spans"};
    small.add(48_B);
    const std::string text = test::fatal_text([] { small.sub(64_B); });
    EXPECT_NE(text.find("L1: ledger heap.spans holds 48 bytes, but 64 bytes were taken out"),
              std::string::npos)
        << text;
}

}  // namespace
