// plan.hpp - `steady plan KEY VALUE COUNT`: the bytes of a container before they are spent.
#pragma once

namespace CLI {
class App;
}

namespace steady::cli {

/// Adds the command. It throws usage_error for types, counts and files it cannot plan with.
void add_plan_command(CLI::App& app, int& exit_code);

}  // namespace steady::cli
