// command.cpp - the command line of `steady replay`.
//
// A mode prints through one std::string that goes to stdout at its end or when a
// line of the script is wrong: what was right until then is still worth reading.
#include "replay/replay.hpp"

#include <cstdint>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "replay/input.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"
#if __has_include("replay/map.hpp")
#include "replay/map.hpp"
#endif
#if __has_include("replay/slice.hpp")
#include "replay/slice.hpp"
#endif

namespace steady::cli {
namespace {

using namespace replay;

#if __has_include("replay/map.hpp")
void add_map(CLI::App& parent, int& exit_code) {
    const auto file = std::make_shared<std::string>("-");
    CLI::App* command = parent.add_subcommand("map", "Run a map script and print what it shows");
    command->add_option("FILE", *file, "The script (default: -, standard input)")->type_name("");
    command->callback([file, &exit_code] { exit_code = replay_map(read_input(*file), *file); });
}
#endif

}  // namespace

void add_replay_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand(
        "replay", "Print what Go's runtime prints for a script of map, slice or heap operations");
    command->require_subcommand(1);
#if __has_include("replay/map.hpp")
    add_map(*command, exit_code);
#endif
}

}  // namespace steady::cli
