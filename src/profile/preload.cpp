// preload.cpp - libsteady_profile.so: begins when a process loads it, and obeys STEADY_DEBUG.
//
//   LD_PRELOAD=libsteady_malloc.so:libsteady_profile.so
//   STEADY_DEBUG=profile_file=/tmp/heap-%p.pb.gz,profile_signal=usr2
//
// The library needs libc alone: the C++ runtime and zlib are inside and hidden, so that a
// program with other versions of them notices nothing.
#include "recorder.hpp"
#include "steady/core/fatal.hpp"
#include "steady/profile/dump.hpp"

namespace steady::profile {
namespace {

[[gnu::constructor]] void library_loaded() {
    const heap_interface* h = detail::heap();
    if (h == nullptr) {
        warn(message("profile")
                 .text("libsteady_malloc.so is not loaded, so there is no heap to profile.")
                 .line("Put it before libsteady_profile.so in LD_PRELOAD."));
        return;
    }
    const debug_options& wanted = h->options();
    start();
    dump_settings settings;
    settings.profile_file = wanted.profile_file;
    settings.allocs_file = wanted.allocs_file;
    settings.signal = wanted.profile_signal;
    settings.live_limit = wanted.profile_limit;
    settings.on_failure = wanted.profile_on_failure;
    settings.at_exit = true;
    if (settings.profile_file.empty() && settings.allocs_file.empty()) return;
    const std::string refused = watch(settings);
    if (!refused.empty()) warn(message("profile").text(refused.c_str()));
}

}  // namespace
}  // namespace steady::profile
