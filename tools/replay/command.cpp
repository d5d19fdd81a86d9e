// command.cpp - the command line of `steady replay`.
#include <cstdint>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "replay/heap.hpp"
#include "replay/input.hpp"
#include "replay/map.hpp"
#include "replay/replay.hpp"
#include "replay/slice.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"

namespace steady::cli {
namespace {

using namespace replay;

/// Makes `command` insist on one of its modes. CLI11's own check would say that "a
/// subcommand" is missing, and would hide a word that is none.
void require_mode(CLI::App& command, const char* modes) {
    command.require_subcommand(0, 1);
    command.callback([&command, modes] {
        if (!command.get_subcommands().empty()) return;
        throw usage_error(
            fmt::format("{}: a mode is missing; there are {}", command.get_name(), modes));
    });
}

void add_map(CLI::App& parent, int& exit_code) {
    const auto file = std::make_shared<std::string>("-");
    CLI::App* command = parent.add_subcommand("map", "Run a map script and print what it shows");
    command->add_option("FILE", *file, "The script (default: -, standard input)")->type_name("");
    command->callback([file, &exit_code] { exit_code = replay_map(read_input(*file), *file); });
}

void add_slice(CLI::App& parent, int& exit_code) {
    CLI::App* command = parent.add_subcommand(
        "slice", "Print the capacities that append arrives at and the bytes that make costs");
    require_mode(*command, "chain, grid, big, full, sample and make");
    const auto add = [&](const char* name, const char* what, auto text) {
        CLI::App* mode = command->add_subcommand(name, what);
        mode->callback([text, &exit_code] {
            write_stdout(text());
            exit_code = exit_done;
        });
        return mode;
    };
    add("chain", "One element at a time, from nothing", slice_chain);
    add("grid", "Hashes of the new capacity for many old ones and ten needs", slice_grid);
    add("big", "Single growths of up to 10^9 elements", slice_big);
    add("make", "Bytes that make occupies, from the heap's own accounts", slice_make);

    const auto size = std::make_shared<std::uint64_t>();
    constexpr std::uint64_t largest = 1 << 20;
    add("full", "Every old capacity up to 5000, one element more",
        [size] { return slice_full(*size); })
        ->add_option("ES", *size, "Bytes of an element")
        ->required()
        ->check(CLI::Range(std::uint64_t{1}, largest).description(""))
        ->type_name("");

    const auto file = std::make_shared<std::string>("-");
    add("sample", "Lines ES C NEED: old capacity C must hold NEED elements of ES bytes",
        [file] { return slice_sample(read_input(*file)); })
        ->add_option("FILE", *file, "The lines (default: -, standard input)")
        ->type_name("");
}

struct heap_options {
    std::string key, elem;
    std::uint64_t n = 0;
    unsigned hinted = 0;
};

void add_heap(CLI::App& parent, int& exit_code) {
    CLI::App* command =
        parent.add_subcommand("heap", "Print what maps cost, as the heap itself counted it");
    require_mode(*command, "classes, maps and one");
    command->add_subcommand("classes", "The heap's size classes")->callback([&exit_code] {
        replay_heap_classes();
        exit_code = exit_done;
    });
    command->add_subcommand("maps", "Maps of 8 to a million entries, with and without a hint")
        ->callback([&exit_code] {
            replay_heap_maps();
            exit_code = exit_done;
        });
    const auto options = std::make_shared<heap_options>();
    CLI::App* one = command->add_subcommand("one", "One map with the keys 0 to N-1 and zero elems");
    const auto add = [one](const char* name, auto& variable, const char* what) {
        return one->add_option(name, variable, what)->required()->type_name("");
    };
    add("KEY", options->key, "u8, u16, u32 or u64");
    add("ELEM", options->elem, "u8 u16 u32 u64 f64 str bN s16 void");
    constexpr std::uint64_t most = 1'000'000'000;
    add("N", options->n, "How many entries")
        ->check(CLI::Range(std::uint64_t{0}, most).description(""));
    add("HINT", options->hinted, "1: make the map with the hint N; 0: without one")
        ->check(CLI::Range(0u, 1u).description(""));
    one->callback([options, &exit_code] {
        replay_heap_one(options->key, options->elem, options->n, options->hinted != 0);
        exit_code = exit_done;
    });
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand(
        "replay", "Print what Go's runtime prints for a script of map, slice or heap operations");
    require_mode(*command, "map, slice and heap");
    command->footer(
        "The formats are in docs/guide/replay.md. tests/oracle is the same command on Go's own\n"
        "runtime, so the two outputs can be compared byte by byte.");
    add_map(*command, exit_code);
    add_slice(*command, exit_code);
    add_heap(*command, exit_code);
}

}  // namespace steady::cli
