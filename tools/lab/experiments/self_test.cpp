// self_test.cpp - experiments that go wrong on purpose: what the lab does then is tested with
// them (tests/cli/lab_test.cpp). They are not listed and not in --all.
#include <csignal>
#include <stdexcept>

#include "lab/experiment.hpp"

namespace steady::cli::lab {
namespace {

const experiment deviates{{.id = "X-01",
                           .name = "self-test-deviates",
                           .question = "What happens when a reference is missed?",
                           .rows = "-",
                           .exact = true,
                           .run =
                               [](laboratory& lab) {
                                   lab.expect("one and one", 2, 2);
                                   lab.expect("one and two", 3, 4);
                                   lab.expect_within("two within three to four", 2, 3, 4);
                               },
                           .hidden = true}};

const experiment crashes{{.id = "X-02",
                          .name = "self-test-crashes",
                          .question = "What happens when an experiment crashes?",
                          .rows = "-",
                          .run = [](laboratory&) { std::raise(SIGKILL); },
                          .hidden = true}};

const experiment throws{{.id = "X-03",
                         .name = "self-test-throws",
                         .question = "What happens when an experiment gives up?",
                         .rows = "-",
                         .run = [](laboratory&) { throw std::runtime_error("no <tape> left"); },
                         .hidden = true}};

}  // namespace
}  // namespace steady::cli::lab
