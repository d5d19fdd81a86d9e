// memstats.hpp - Go's runtime.MemStats of this process: the same names, the same rules,
// from the heap's exact counts. Whoever reads Go's numbers in a dashboard reads ours.
//
//   Sys = HeapSys + StackSys + MSpanSys + MCacheSys + BuckHashSys + GCSys + OtherSys
//   HeapSys = HeapInuse + HeapIdle            Alloc = HeapAlloc = TotalAlloc - freed bytes
//   HeapIdle >= HeapReleased                  HeapObjects = Mallocs - Frees
//
// What has no meaning here is 0, as it is in a Go program that never needed it: there is no
// collector (NumGC, PauseNs, NextGC; EnableGC is false), and stacks belong to libc and the
// kernel (StackInuse). BuckHashSys is what profiles are kept in.
#pragma once

#include <cstdint>

namespace steady {

/// Go 1.19's runtime.MemStats, field by field, in its order.
struct go_memstats {
    // clang-format off
    std::uint64_t Alloc, TotalAlloc, Sys, Lookups, Mallocs, Frees;
    std::uint64_t HeapAlloc, HeapSys, HeapIdle, HeapInuse, HeapReleased, HeapObjects;
    std::uint64_t StackInuse, StackSys, MSpanInuse, MSpanSys, MCacheInuse, MCacheSys;
    std::uint64_t BuckHashSys, GCSys, OtherSys;
    std::uint64_t NextGC, LastGC, PauseTotalNs;
    std::uint64_t PauseNs[256], PauseEnd[256];
    std::uint32_t NumGC, NumForcedGC;
    double GCCPUFraction;
    bool EnableGC, DebugGC;
    // clang-format on
    struct size_line {
        std::uint32_t Size;
        std::uint64_t Mallocs, Frees;
    } BySize[61];  // objects of up to 18 KiB, as in Go; the rest is in the sums only
};

/// Cost       a walk over threads and size classes: microseconds. Allocates nothing.
/// Threads    any.
[[nodiscard]] go_memstats read_memstats() noexcept;

}  // namespace steady
