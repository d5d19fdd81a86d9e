// command.cpp - the command line of `steady plan`.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "plan/plan.hpp"
#include "plan/planned.hpp"
#include "plan/print.hpp"
#include "plan/types.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"

namespace steady::cli {
namespace {

using namespace plan;

struct plan_words {
    std::string key, value, count, kind = "map", view, allocator = "steady", lengths;
    bool hint = false, grow = false, json = false;
};

audit::allocator_model parse_allocator(const std::string& word) {
    using audit::allocator_model;
    if (word == "steady") return allocator_model::steady_heap;
    if (word == "malloc") return allocator_model::steady_malloc;
    if (word == "glibc") return allocator_model::glibc;
    if (word == "none") return allocator_model::none;
    throw usage_error(fmt::format(
        "plan: '{}' is no allocator; there are steady, malloc (libsteady_malloc.so), glibc and "
        "none (requests only)",
        word));
}

void run_plan(const plan_words& words) {
    request r;
    r.what = parse_kind(words.kind);
    r.key = parse_type(words.key);
    r.value = parse_type(words.value);
    r.count = parse_count(words.count);
    r.hint = words.hint;
    r.allocator = parse_allocator(words.allocator);
    if (r.what == kind::go_map || r.what == kind::slice) {
        if (r.allocator != audit::allocator_model::steady_heap) {
            throw usage_error(
                "plan: go::map and slice live in the steady heap; --allocator is for map and std");
        }
    }
    if (words.hint && words.grow) {
        throw usage_error("plan: --hint and --grow exclude each other");
    }
    if (!words.lengths.empty()) {
        r.lengths = parse_lengths(words.lengths);
        if (!r.key.text && !r.value.text) {
            throw usage_error("plan: --length-distribution is for strings; neither type is one");
        }
    }
    const planned p = make_plan(r);
    if (!words.view.empty()) {
        if (words.view != "seven") {
            throw usage_error(fmt::format("plan: '{}' is no view; there is seven", words.view));
        }
        return write_stdout(to_seven(r, p, colour_on_stdout(), words.json));
    }
    write_stdout(words.json ? to_json(r, p) : to_table(r, p, colour_on_stdout()));
}

}  // namespace

void add_plan_command(CLI::App& app, int& exit_code) {
    const auto words = std::make_shared<plan_words>();
    CLI::App* command =
        app.add_subcommand("plan", "Say what a container will take, before it is made");
    command->add_option("KEY", words->key, "Type of the key (slice: of the element)")
        ->required()
        ->type_name("");
    command->add_option("VALUE", words->value, "Type of the value; void: none")
        ->required()
        ->type_name("");
    command->add_option("COUNT", words->count, "How many entries: 100000, 1e6, 64k")
        ->required()
        ->type_name("");
    command->add_flag("--hint", words->hint, "Room for all of them is made at once");
    command->add_flag("--grow", words->grow, "They come one by one (default)");
    command->add_option("--kind", words->kind, "map, go-map, slice or std (default: map)")
        ->type_name("");
    command->add_option("--view", words->view, "seven: Go's map as the seven items of E-40")
        ->type_name("");
    command
        ->add_option("--allocator", words->allocator,
                     "Who rounds the blocks: steady, malloc, glibc, none (default: steady)")
        ->type_name("");
    command
        ->add_option("--length-distribution", words->lengths,
                     "Lengths of strings: fixed:N, mean:N, or a file of lines LENGTH COUNT")
        ->type_name("");
    command->add_flag("--json", words->json, "Print the plan as JSON");
    command->footer(
        "Types: int8..int64, uint8..uint64, float32, float64, bool, string, bytesN, N:ALIGN, "
        "void.\n"
        "Exact where nothing is random; where the hash decides, an expected value and bounds.");
    command->callback([words, &exit_code] {
        run_plan(*words);
        exit_code = exit_done;
    });
}

}  // namespace steady::cli
