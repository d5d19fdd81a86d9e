// experiment.hpp - an experiment of `steady lab`: a question, what others say about it, and
// a function that finds out.
//
// To add one, add one file: tools/lab/experiments/NAME.cpp. Nothing else is edited; the
// build finds the file, the object at its end registers itself, and --list, --all, --json,
// --html, --repeat and --check know it.
//
//   #include "lab/experiment.hpp"
//
//   namespace steady::cli::lab {
//   namespace {
//
//   void run(laboratory& lab) {
//       const std::uint64_t objects = ...;                    // measured here and now
//       lab.figure("objects, 100 inserts", objects, unit::number,
//                  {.reported = "12840", .reference = "11"});  // shown beside, never as a result
//       lab.impossible("12840 objects: 100 inserts fill at most 16 buckets");
//       lab.expect("nine inserts make 3 objects", seen, 3);   // exact: decides --check
//   }
//
//   const experiment here{{.id = "E-21",
//                          .name = "map-objects",
//                          .question = "How many objects and bytes does a filled map cost?",
//                          .rows = "S2-29,31",
//                          .reported = "12840 / 3.2 MB; 41600 / 8.7; 1020 / 2.1",
//                          .reference = "11 / 8312 B; 301 / 978536; 3 / 458824",
//                          .exact = true,
//                          .run = run}};
//
//   }  // namespace
//   }  // namespace steady::cli::lab
//
// Terms   reported   what the source documents say; printed, never trusted
//         reference  measured with go1.19.8, or computed exactly; "-": there is none
//         check      a comparison with an exact reference. One that fails ends the command
//                    with exit code 1, in every mode
//         exact      the experiment has checks, so --check runs it
//         quick      --check asks for the checks only: leave out what takes long and is
//                    only timed (lab.quick())
//
// Each run has a child process of its own, which starts with one thread and may start
// more: experiments cannot disturb each other's heaps, and one that crashes is a failed
// one. --repeat N runs it N times; figures of the same label become a median with its
// spread, so a label must name the same thing in every run. What a run cannot do on this
// machine it says (lab.refused) and leaves out.
//
// Sizes: on two cores all experiments together take less than fifteen minutes, so one
// takes seconds, and none more than a minute.
//
// An id that has no `run` is listed as not yet available, with the reason in `missing`
// (experiments/not_yet.cpp). A file that registers the same id with a run takes its place.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/findings.hpp"

namespace steady::cli::lab {

/// What a running experiment writes its findings to.
class laboratory {
public:
    laboratory(findings& into, bool quick) : into_(into), quick_(quick) {}

    /// Only the checks are wanted.
    [[nodiscard]] bool quick() const { return quick_; }
    /// `full`, or a small one when only the checks are wanted.
    template <class T>
    [[nodiscard]] T size(T full, T small) const {
        return quick_ ? small : full;
    }

    /// A measured number.
    void figure(std::string label, double value, unit in, beside others = {});
    /// A finding in words, such as a sequence.
    void text(std::string label, std::string value, beside others = {});

    /// Compares with an exact reference.
    ///
    /// Returns    whether they are equal.
    bool expect(std::string sentence, std::string_view seen, std::string_view expected);
    template <std::integral A, std::integral B>
    bool expect(std::string sentence, A seen, B expected) {
        return expect(std::move(sentence), std::string_view(std::to_string(seen)),
                      std::string_view(std::to_string(expected)));
    }
    /// For what depends on a random seed: the bounds are inclusive.
    bool expect_within(std::string sentence, double seen, double least, double most);

    /// Why a reported number cannot be true.
    void impossible(std::string why);
    /// What a reader must know to read the figures.
    void note(std::string text);
    /// What this machine does not allow or have, and what therefore was left out.
    void refused(std::string what);
    /// A curve for --html; --json has its numbers too.
    void plot(curve drawn);

private:
    findings& into_;
    bool quick_;
};

struct entry {
    const char* id;        // "E-21"
    const char* name;      // "map-objects"
    const char* question;  // one sentence
    const char* rows;      // of the source documents: "S2-29,31"
    const char* reported = "-";
    const char* reference = "-";
    bool exact = false;
    void (*run)(laboratory& lab) = nullptr;
    const char* missing = "";  // why there is no run yet
    bool hidden = false;       // neither listed nor in --all: for tests of the lab itself
};

/// Registers an entry while the program starts.
struct experiment {
    explicit experiment(const entry& e);
};

/// All entries by id, one for each.
[[nodiscard]] std::vector<entry> all_experiments();

}  // namespace steady::cli::lab
