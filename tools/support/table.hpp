// table.hpp - aligned columns: the first to the left, all others to the right.
//
// Widths are taken from the cells, so nothing is ever cut. Cells are ASCII, one
// byte per column of the terminal. Colour is put around a cell after it was
// padded: escape sequences have no width.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace steady::cli {

enum class tone { plain, strong, good, bad, faint };

struct cell {
    std::string text;
    tone look = tone::plain;
};

class table {
public:
    void add(std::vector<cell> row) { rows_.push_back(std::move(row)); }
    std::size_t size() const { return rows_.size(); }
    /// An empty line.
    void add_space() { rows_.emplace_back(); }

    /// The rows, each ended by '\n' and indented by two spaces.
    std::string print(bool colour) const;

private:
    std::vector<std::vector<cell>> rows_;
};

}  // namespace steady::cli
