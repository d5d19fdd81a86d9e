// slice_states.cpp - E-37: nil, empty and shared-empty slices, and what may be done with them.
#include <exception>
#include <string>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

/// What `work` throws, or "allowed".
template <class Work>
std::string outcome_of(Work&& work) {
    try {
        work();
    } catch (const std::exception& problem) {
        return problem.what();
    }
    return "allowed";
}

void run(laboratory& lab) {
    const auto describe = [](const slice<int>& s) {
        return fmt::format("{}, len {}, cap {}", s.is_nil() ? "nil" : "not nil", s.len(), s.cap());
    };
    const slice<int> nil;
    const heap_meter meter;
    const slice<int> empty = make_slice<int>(0);
    const slice<int> literal = slice<int>(std::initializer_list<int>{});
    const auto cost = meter.read();
    const slice<int> whole{1, 2, 3};
    const slice<int> shared = whole.sub(0, 0);
    const auto state = [&](const char* what, const slice<int>& s, const char* expected,
                           const char* reported) {
        lab.text(what, describe(s), {.reported = reported, .reference = expected});
        lab.expect(what, describe(s), expected);
    };
    state("var s []int", nil, "nil, len 0, cap 0", "nil, no heap");
    state("make([]int, 0)", empty, "not nil, len 0, cap 0", "nil array / cap > 0, on the heap");
    state("[]int{}", literal, "not nil, len 0, cap 0", "nil array");
    state("whole[0:0]", shared, "not nil, len 0, cap 3", "-");
    lab.expect("objects made for the empty ones", cost.objects, 0);

    struct act {
        const char* what;
        std::string seen;
        const char* go;
        const char* reported;
    };
    for (const act& each :
         {act{"&empty[0]", outcome_of([&] { keep(&empty[0]); }),
              "index out of range [0] with length 0", "legal"},
          act{"empty[1:1]", outcome_of([&] { keep(empty.sub(1, 1).data()); }),
              "slice bounds out of range [:1] with capacity 0", "legal, shares"},
          act{"nil[0:0]", outcome_of([&] { keep(nil.sub(0, 0).data()); }), "allowed", "-"},
          act{"whole[3:3]", outcome_of([&] { keep(whole.sub(3, 3).data()); }), "allowed", "-"},
          act{"whole[0:4]", outcome_of([&] { keep(whole.sub(0, 4).data()); }),
              "slice bounds out of range [:4] with capacity 3", "-"},
          act{"whole[2:1]", outcome_of([&] { keep(whole.sub(2, 1).data()); }),
              "slice bounds out of range [2:1]", "-"},
          act{"append(nil, 1)", outcome_of([&] { keep(append(nil, 1).data()); }), "allowed", "-"},
          act{"make([]int, -1)", outcome_of([] { keep(make_slice<int>(-1).data()); }),
              "makeslice: len out of range", "panicmakeslicelen"},
          act{"make([]int, 5, 4)", outcome_of([] { keep(make_slice<int>(5, 4).data()); }),
              "makeslice: cap out of range", "-"},
          act{"make([]int, 0, 1<<60)",
              outcome_of([] { keep(make_slice<int>(0, std::ptrdiff_t{1} << 60).data()); }),
              "makeslice: cap out of range", "-"}}) {
        lab.text(each.what, each.seen, {.reported = each.reported, .reference = each.go});
        lab.expect(each.what, each.seen, each.go);
    }
    lab.impossible(
        "&s[0] of an empty slice and s[1:1] without a capacity being legal (S4-19): both "
        "are checked before an address is taken, and both panic (ruling C-22)");
}

const experiment here{{.id = "E-37",
                       .name = "slice-states",
                       .question = "What may be done with nil and empty slices?",
                       .rows = "S4-18..20",
                       .reported = "legal",
                       .reference = "both panic",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
