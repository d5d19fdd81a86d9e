// label.hpp - says what a thread is busy with, so that profiles can be cut by it.
//
//   void serve(const request& r) {
//       steady::profile::label_scope label("route", r.route);
//       ...                       // samples taken here carry route=...
//   }
//   // go tool pprof -tagfocus=route=/search heap.pb.gz, or -tags
//
// A header alone: in a program without a profiler a scope costs two branches. The profiler
// may be linked (steady::profile) or preloaded (libsteady_profile.so).
//
// Use few different values: each set of labels is a line of its own in every profile.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace steady::profile {

/// One label, on the stack of the thread that has it.
struct label_node {
    const label_node* outer;
    char key[32];
    char text[96];
};

}  // namespace steady::profile

// Visible whatever -fvisibility says: another library has them, or nobody.
extern "C" {
[[gnu::weak, gnu::visibility("default")]] void steady_profile_enter_label(
    steady::profile::label_node* node) noexcept;
[[gnu::weak, gnu::visibility("default")]] void steady_profile_leave_label(
    steady::profile::label_node* node) noexcept;
}

namespace steady::profile {

/// Samples of this thread carry key=text until the scope ends. An inner scope with the
/// same key hides the outer one.
///
/// The cpu profile has the labels that this thread's last sample of the heap had, and none
/// when the scopes have changed since.
///
/// Texts are cut to 31 and 95 bytes. "thread" and "bytes" are taken: they say the
/// thread's name and the size of the objects.
/// Cost       copying the texts; the next sample looks the set up, about 100 ns.
/// Threads    of the thread that made it; scopes end in the reverse order.
class label_scope {
public:
    label_scope(std::string_view key, std::string_view text) noexcept {
        copy(node_.key, sizeof node_.key, key);
        copy(node_.text, sizeof node_.text, text);
        node_.outer = nullptr;
        if (steady_profile_enter_label != nullptr) steady_profile_enter_label(&node_);
    }
    ~label_scope() {
        if (steady_profile_leave_label != nullptr) steady_profile_leave_label(&node_);
    }
    label_scope(const label_scope&) = delete;
    label_scope& operator=(const label_scope&) = delete;

private:
    static void copy(char* to, std::size_t capacity, std::string_view from) noexcept {
        const std::size_t n = from.size() < capacity - 1 ? from.size() : capacity - 1;
        std::memcpy(to, from.data(), n);
        to[n] = '\0';
    }
    label_node node_;
};

}  // namespace steady::profile
