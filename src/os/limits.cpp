// limits.cpp - see limits.hpp.
#include "steady/os/limits.hpp"

#include <algorithm>

#include "steady/os/detail/lines.hpp"
#include "steady/os/detail/syscall.hpp"

#include <sys/resource.h>

namespace steady::os {

using namespace detail;

namespace {

// A path in a fixed buffer. One that does not fit is no path: its limit is not read.
class path_buffer {
public:
    bool assign(std::string_view text) noexcept {
        shorten(0);
        return append(text);
    }
    bool append(std::string_view text) noexcept {
        if (text.empty()) return true;
        if (text.size() >= capacity - length_) return false;
        __builtin_memcpy(text_ + length_, text.data(), text.size());
        shorten(length_ + text.size());
        return true;
    }
    void shorten(std::size_t length) noexcept {
        length_ = length;
        text_[length_] = '\0';
    }
    /// Takes the last "/name" away.
    void leave_folder() noexcept {
        std::size_t end = length_;
        while (end > 0 && text_[end - 1] != '/') --end;
        shorten(end > 0 ? end - 1 : 0);
    }
    [[nodiscard]] std::string_view text() const noexcept { return {text_, length_}; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    [[nodiscard]] const char* c_str() const noexcept { return text_; }

private:
    static constexpr std::size_t capacity = 512;
    std::size_t length_ = 0;
    char text_[capacity] = {};
};

void lower_to(bytes& limit, path_buffer& folder, std::string_view file) noexcept {
    const std::size_t length = folder.length();
    if (folder.append(file)) {
        line_reader reader(folder.c_str());
        std::string_view line;
        if (reader.next(line)) limit = std::min(limit, parse_limit(line));
    }
    folder.shorten(length);
}

// From the group's folder up to the mount point.
void read_levels(cgroup_kind kind, path_buffer& folder, std::size_t top,
                 cgroup_limits& limits) noexcept {
    for (;;) {
        if (kind == cgroup_kind::v2) {
            lower_to(limits.max, folder, "/memory.max");
            lower_to(limits.high, folder, "/memory.high");
        } else {
            lower_to(limits.max, folder, "/memory.limit_in_bytes");
        }
        if (folder.length() <= top) return;
        folder.leave_folder();
    }
}

bytes resource(int which) noexcept {
    resource_limit limit{};
    return sys_get_limit(which, &limit) == 0 ? bytes{limit.soft} : memory_limits::none;
}

bytes physical_memory() noexcept {
    line_reader info("/proc/meminfo");
    for (std::string_view line; info.next(line);) {
        if (!take(line, "MemTotal:")) continue;
        while (take(line, " ")) {
        }
        std::uint64_t kib = 0;
        if (take_number(line, kib)) return bytes{kib} * 1024;
    }
    return memory_limits::none;
}

}  // namespace

namespace detail {

cgroup_mount parse_mount(std::string_view line) noexcept {
    // id parent major:minor ROOT POINT options [tag]... - KIND source super-options
    cgroup_mount mount;
    for (int i = 0; i < 3; ++i) take_until(line, ' ');
    mount.root = take_until(line, ' ');
    mount.point = take_until(line, ' ');
    while (!line.empty() && take_until(line, ' ') != "-") {
    }
    const std::string_view kind = take_until(line, ' ');
    take_until(line, ' ');
    // Blanks in a path are written as \040; such a mount is nobody's cgroup in practice.
    if (mount.point.find('\\') != mount.point.npos) return mount;
    if (kind == "cgroup2") {
        mount.kind = cgroup_kind::v2;
    } else if (kind == "cgroup") {
        while (!line.empty()) {
            if (take_until(line, ',') == "memory") mount.kind = cgroup_kind::v1_memory;
        }
    }
    return mount;
}

cgroup_membership parse_membership(std::string_view line) noexcept {
    // 0::/path   or   4:memory,other:/path
    cgroup_membership member;
    const std::string_view number = take_until(line, ':');
    std::string_view controllers = take_until(line, ':');
    member.path = line;
    if (number == "0" && controllers.empty()) member.kind = cgroup_kind::v2;
    while (!controllers.empty()) {
        if (take_until(controllers, ',') == "memory") member.kind = cgroup_kind::v1_memory;
    }
    return member;
}

bytes parse_limit(std::string_view text) noexcept {
    std::uint64_t number = 0;
    constexpr std::uint64_t beyond_any_machine = std::uint64_t{1} << 62;
    if (!take_number(text, number) || number >= beyond_any_machine) return memory_limits::none;
    return bytes{number};
}

std::string_view below_root(std::string_view path, std::string_view root) noexcept {
    if (root == "/") root = "";
    if (path.find("/..") != path.npos) return {};  // a group outside of our namespace
    if (!take(path, root)) return {};
    if (path.empty() || path == "/") return {};
    return path.front() == '/' ? path : std::string_view{};
}

cgroup_limits read_cgroup_limits(line_reader& membership, line_reader& mounts) noexcept {
    path_buffer v1, v2;
    bool in_v1 = false, in_v2 = false;
    std::string_view line;
    while (membership.next(line)) {
        const cgroup_membership member = parse_membership(line);
        if (member.kind == cgroup_kind::v1_memory) in_v1 = v1.assign(member.path);
        if (member.kind == cgroup_kind::v2) in_v2 = v2.assign(member.path);
    }

    cgroup_limits limits;
    while (mounts.next(line)) {
        const cgroup_mount mount = parse_mount(line);
        const bool is_v1 = mount.kind == cgroup_kind::v1_memory;
        if (!(is_v1 ? in_v1 : in_v2) || mount.kind == cgroup_kind::other) continue;
        const std::string_view path = is_v1 ? v1.text() : v2.text();
        path_buffer folder;
        if (folder.assign(mount.point) && folder.append(below_root(path, mount.root))) {
            read_levels(mount.kind, folder, mount.point.size(), limits);
        }
    }
    return limits;
}

}  // namespace detail

bytes memory_limits::suggested_soft_limit() const noexcept {
    const bytes below_max = cgroup_max == none ? none : cgroup_max / 10 * 9;
    const bytes lower = std::min(cgroup_high, below_max);
    return lower < physical ? lower : none;
}

memory_limits read_memory_limits() noexcept {
    memory_limits limits;
    {
        line_reader membership("/proc/self/cgroup");
        line_reader mounts("/proc/self/mountinfo");
        const cgroup_limits group = read_cgroup_limits(membership, mounts);
        limits.cgroup_max = group.max;
        limits.cgroup_high = group.high;
    }
    limits.address_space = resource(RLIMIT_AS);
    limits.data = resource(RLIMIT_DATA);
    limits.physical = physical_memory();
    std::uint64_t mode = 0;
    if (read_number("/proc/sys/vm/overcommit_memory", mode) && mode <= 2) {
        limits.overcommit_mode = static_cast<overcommit>(mode);
    }
    limits.max_map_count = read_max_map_count();
    return limits;
}

// Without a line_reader and its buffer of 2 KiB.
std::uint64_t read_max_map_count() noexcept {
    std::uint64_t count = memory_limits{}.max_map_count;
    const long file = sys_open_for_reading("/proc/sys/vm/max_map_count");
    if (file < 0) return count;
    char digits[24];
    const long got = sys_read(file, digits, sizeof digits);
    sys_close(file);
    if (got > 0) {
        std::string_view text(digits, static_cast<std::size_t>(got));
        take_number(text, count);
    }
    return count;
}

}  // namespace steady::os
