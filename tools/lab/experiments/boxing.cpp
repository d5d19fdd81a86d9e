// boxing.cpp - E-35: an int in an interface: a table for single-byte values, a heap cell for
// the others. The box here is Go's rule in C++, an exhibit; std::any stands beside it.
#include <any>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::array<std::uint64_t, 256> small_values = [] {
    std::array<std::uint64_t, 256> table{};
    for (std::uint64_t i = 0; i < table.size(); ++i) table[i] = i;
    return table;
}();

/// 16 bytes: which type, and where the value is. Values below 256 are in the table.
class boxed {
public:
    explicit boxed(std::int64_t value) {
        const auto bits = static_cast<std::uint64_t>(value);
        if (bits < small_values.size()) {
            data_ = &small_values[bits];
            return;
        }
        auto* cell = static_cast<std::uint64_t*>(allocate(sizeof(std::uint64_t), 8));
        if (cell == nullptr) throw std::bad_alloc();
        *cell = bits;
        data_ = cell;
        own_ = true;
    }
    ~boxed() {
        if (own_) deallocate(const_cast<std::uint64_t*>(data_));
    }
    boxed(const boxed&) = delete;
    boxed& operator=(const boxed&) = delete;
    [[nodiscard]] std::int64_t value() const { return static_cast<std::int64_t>(*data_); }

private:
    const std::uint64_t* data_ = nullptr;
    bool own_ = false;
};

void run(laboratory& lab) {
    constexpr int count = 10'000;
    const auto cost = [](std::int64_t value) {
        const heap_meter meter;
        for (int i = 0; i < count; ++i) {
            const boxed b(value);
            keep(b);
        }
        return meter.read();
    };
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{255}, std::int64_t{256},
                                     std::int64_t{1'000'000}, std::int64_t{-1}}) {
        const auto seen = cost(value);
        const bool small = value >= 0 && value < 256;
        lab.figure(fmt::format("{} boxed 10000 times: objects", value),
                   static_cast<double>(seen.objects), unit::number,
                   {"10000", small ? "0" : "10000"});
        lab.expect(fmt::format("{} boxed 10000 times: objects", value), seen.objects,
                   small ? 0 : count);
        lab.expect(fmt::format("{} boxed 10000 times: bytes", value), seen.bytes,
                   small ? 0 : 8 * count);
        lab.expect(fmt::format("{} comes back", value), boxed(value).value(), value);
    }
    if (!lab.quick()) {
        const auto time = [&](auto&& work) {
            return nanoseconds_each(count, [&] {
                for (int i = 0; i < count; ++i) work();
            });
        };
        lab.figure("an int returned", time([] {
                       std::int64_t value = 1'000;
                       keep(value);
                   }),
                   unit::nanoseconds);
        lab.figure("a small one boxed", time([] {
                       const boxed b(7);
                       keep(b);
                   }),
                   unit::nanoseconds);
        lab.figure("a large one boxed", time([] {
                       const boxed b(1'000);
                       keep(b);
                   }),
                   unit::nanoseconds);
        lab.figure("std::any (keeps an int inside itself)", time([] {
                       const std::any a(std::int64_t{1'000});
                       keep(a);
                   }),
                   unit::nanoseconds);
    }
    lab.impossible(
        "10000 allocations for 10000 boxed ints whatever their value (S3-48): the "
        "compiler points values of one byte into a table; measured 0 B against 8 B");
}

const experiment here{{.id = "E-35",
                       .name = "boxing",
                       .question = "When does an int in an interface cost an allocation?",
                       .rows = "S3-47..49",
                       .reported = "0 / 10000",
                       .reference = "0 for 0..255, 8 B otherwise",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
