// heap_account.hpp - what the heap has counted between two moments: the answer that plans
// and memory() are compared with. It knows nothing of containers.
#pragma once

#include <cstdint>

#include "steady/heap/statistics.hpp"

namespace steady::test {

class heap_account {
public:
    struct counts {
        std::int64_t bytes, objects;
    };
    /// Live bytes and objects more than at the beginning.
    [[nodiscard]] counts live() const {
        const heap_statistics s = read_statistics();
        return {static_cast<std::int64_t>(s.heap_alloc - before_.heap_alloc),
                static_cast<std::int64_t>(s.heap_objects - before_.heap_objects)};
    }

private:
    heap_statistics before_ = read_statistics();
};

}  // namespace steady::test
