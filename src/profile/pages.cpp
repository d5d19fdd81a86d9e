// pages.cpp - fragmentation and residency by stack. The story is in pages.hpp.
#include "pages.hpp"

namespace steady::profile::detail {

void charge_pages(std::vector<raw_sample>&, const std::vector<live_part>&) {}

}  // namespace steady::profile::detail
