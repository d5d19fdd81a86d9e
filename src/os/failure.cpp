// failure.cpp - see detail/failure.hpp.
#include "steady/os/detail/failure.hpp"

#include "steady/os/detail/lines.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

#include <sys/resource.h>

namespace steady::os {

namespace detail {

namespace {

constexpr std::uint64_t unlimited = ~std::uint64_t{0};

// The mappings a call may need at once: it can cut one in three, and the kernel's own
// tests stop a few short of the limit (mremap: map_count + 2 >= max - 3).
constexpr std::uint64_t near_the_map_limit = 8;

limits_seen look() noexcept {
    limits_seen seen{0, unlimited, 0, unlimited, 0, unlimited};
    resource_limit limit{};
    if (sys_get_limit(RLIMIT_AS, &limit) == 0) seen.address_space_limit = limit.soft;
    if (sys_get_limit(RLIMIT_DATA, &limit) == 0) seen.data_limit = limit.soft;

    // statm, in OS pages: size resident shared text lib data dt
    line_reader statm("/proc/self/statm");
    if (std::string_view line; statm.next(line)) {
        std::uint64_t field = 0;
        for (int i = 0; i < 6 && take_number(line, field); ++i) {
            if (i == 0) seen.address_space = field * os_page().count();
            if (i == 5) seen.data = field * os_page().count();
            take_until(line, ' ');
        }
    }
    read_number("/proc/sys/vm/max_map_count", seen.mappings_limit);
    return seen;
}

std::uint64_t count_mappings() noexcept {
    line_reader maps("/proc/self/maps");
    std::uint64_t count = 0;
    for (std::string_view line; maps.next(line);) ++count;
    return count;
}

bool exceeds(std::uint64_t now, bytes wanted, std::uint64_t limit) noexcept {
    return limit != unlimited && (now >= limit || wanted.count() > limit - now);
}

}  // namespace

errc explain_no_memory(const limits_seen& seen, bytes wanted) noexcept {
    if (exceeds(seen.address_space, wanted, seen.address_space_limit) ||
        exceeds(seen.data, wanted, seen.data_limit)) {
        return errc::address_space_limit;
    }
    if (exceeds(seen.mappings, bytes{near_the_map_limit}, seen.mappings_limit)) {
        return errc::map_count_limit;
    }
    return errc::out_of_memory;
}

error failure(long negative_errno, const char* action) noexcept {
    const int number = static_cast<int>(-negative_errno);
    errc code = errc::out_of_memory;
    switch (number) {
        case ENOMEM:
        case EAGAIN:  // threads: RLIMIT_NPROC or pids.max; memory: RLIMIT_MEMLOCK with mlockall
            code = errc::out_of_memory;
            break;
        case EEXIST: code = errc::occupied; break;
        case EPERM:
        case EACCES: code = errc::not_permitted; break;
        case ENOSYS:
        case EOPNOTSUPP: code = errc::unsupported; break;
        default: code = errc::invalid_argument; break;
    }
    return {code, number, action};
}

}  // namespace detail

error explain(const error& refused, bytes wanted) noexcept {
    if (refused.code != errc::out_of_memory || refused.system_errno != ENOMEM) return refused;
    detail::limits_seen seen = detail::look();
    errc code = detail::explain_no_memory(seen, wanted);
    if (code == errc::out_of_memory) {
        seen.mappings = detail::count_mappings();  // the dear question comes last
        code = detail::explain_no_memory(seen, wanted);
    }
    return {code, refused.system_errno, refused.action};
}

}  // namespace steady::os
