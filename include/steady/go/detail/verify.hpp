// verify.hpp - the whole map looked over. Part of map_core; core.hpp tells the story.
#pragma once

#include "steady/go/detail/core.hpp"

namespace steady::go::internal {}  // namespace steady::go::internal
