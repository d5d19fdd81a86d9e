// unwind.cpp - what does a stack cost, by frame, without frame pointers?
//
// The same recursion, compiled without frame pointers, is captured at several depths by
// five methods in turn. Reported is the slope: ns of thread CPU time by which a stack of
// 100 frames costs more than one of 20, divided by 80, so that fixed costs drop out; and
// the whole cost at 35 frames. Each figure is the minimum of 15 rounds, rounds alternate.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <unwind.h>

#include "steady/profile/detail/unwind.hpp"
#include "support/clocks.hpp"

namespace {

constexpr int most = 128;
using method = int (*)(void** out);

int by_steady(void** out) {
    using namespace steady::profile::detail;
    return static_cast<int>(capture(reinterpret_cast<std::uintptr_t*>(out), most, 0).depth);
}
int by_unw_backtrace(void** out) {
    return unw_backtrace(out, most);
}
int by_cursor(void** out) {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    int n = 0;
    do {
        unw_word_t pc = 0;
        unw_get_reg(&cursor, UNW_REG_IP, &pc);
        out[n++] = reinterpret_cast<void*>(pc);
    } while (n < most && unw_step(&cursor) > 0);
    return n;
}
struct collected {
    void** out;
    int n;
};
// libunwind has a function of this name as well; the one of libgcc is asked for by version.
extern "C" _Unwind_Reason_Code libgcc_backtrace(_Unwind_Trace_Fn, void*);
asm(".symver libgcc_backtrace, _Unwind_Backtrace@GCC_3.3");
int by_libgcc(void** out) {
    collected c{out, 0};
    libgcc_backtrace(
        [](_Unwind_Context* context, void* into) -> _Unwind_Reason_Code {
            auto& c = *static_cast<collected*>(into);
            if (c.n == most) return _URC_END_OF_STACK;
            c.out[c.n++] = reinterpret_cast<void*>(_Unwind_GetIP(context));
            return _URC_NO_REASON;
        },
        &c);
    return c.n;
}

struct measured {
    method run;
    int repeat;
    double ns = 0;
    int depth = 0;
};

[[gnu::noinline]] void at_depth(int levels, measured& m) {
    if (levels > 0) {
        at_depth(levels - 1, m);
        asm volatile("" : : : "memory");  // no tail call
        return;
    }
    void* frames[most];
    m.depth = m.run(frames);  // warm
    const std::uint64_t start = steady::bench::thread_cpu_ns();
    for (int i = 0; i < m.repeat; ++i) m.depth = m.run(frames);
    m.ns = static_cast<double>(steady::bench::thread_cpu_ns() - start) / m.repeat;
}

}  // namespace

int main() {
    const struct {
        const char* name;
        method run;
        int repeat;
    } methods[] = {
        {"steady", &by_steady, 20'000},
        {"libunwind unw_backtrace", &by_unw_backtrace, 10'000},
        {"libunwind unw_step", &by_cursor, 200},
        {"libgcc _Unwind_Backtrace", &by_libgcc, 500},
    };
    constexpr int depths[] = {20, 35, 100};
    double best[4][3];
    int frames[4][3] = {};
    for (auto& row : best) std::fill(row, row + 3, 1e18);
    for (int round = 0; round < 15; ++round) {
        for (int i = 0; i < 4; ++i) {
            for (int d = 0; d < 3; ++d) {
                measured m{methods[i].run, methods[i].repeat};
                at_depth(depths[d], m);
                best[i][d] = std::min(best[i][d], m.ns);
                frames[i][d] = m.depth;
            }
        }
    }
    std::printf("%-26s %10s %14s %14s\n", "", "ns/frame", "35 levels, ns", "frames there");
    for (int i = 0; i < 4; ++i) {
        std::printf("%-26s %10.1f %14.0f %14d\n", methods[i].name,
                    (best[i][2] - best[i][0]) / (frames[i][2] - frames[i][0]), best[i][1],
                    frames[i][1]);
    }
}
