// labels.cpp - what a thread says about itself: its name and the scopes it is in.
#include <cstring>

#include <sys/prctl.h>

#include "recorder.hpp"
#include "steady/profile/label.hpp"

namespace steady::profile::detail {
namespace {

// What a thread says about itself is looked at again now and then only: its name changes hardly
// ever.
struct thread_labels {
    const label_node* scopes = nullptr;   // innermost
    const label_set* interned = nullptr;  // of `scopes` and `name`
    std::uint32_t until_look = 0;
    char name[16] = {};
};
constinit thread_local thread_labels mine;

constexpr std::size_t most_labels = 16;

}  // namespace

const label_set* current_labels() noexcept {
    thread_labels& t = mine;
    if (t.until_look == 0) {
        t.until_look = 64;
        char name[16] = {};
        prctl(PR_GET_NAME, name);
        if (std::memcmp(name, t.name, sizeof name) != 0) {
            std::memcpy(t.name, name, sizeof name);
            t.interned = nullptr;
        }
    }
    --t.until_look;
    if (t.interned != nullptr) return t.interned;
    label_pair pairs[most_labels];
    std::size_t count = 0;
    pairs[count++] = {"thread", t.name};
    for (const label_node* n = t.scopes; n != nullptr && count < most_labels; n = n->outer) {
        bool hidden = false;  // an inner scope says something else
        for (std::size_t i = 0; i < count; ++i)
            hidden = hidden || std::strcmp(pairs[i].key, n->key) == 0;
        if (!hidden) pairs[count++] = {n->key, n->text};
    }
    t.interned = the_recorder.records.intern(pairs, count);
    return t.interned;
}

const label_set* labels_in_signal() noexcept {
    return mine.interned;
}

}  // namespace steady::profile::detail

extern "C" void steady_profile_enter_label(steady::profile::label_node* node) noexcept {
    auto& t = steady::profile::detail::mine;
    node->outer = t.scopes;
    t.scopes = node;
    t.interned = nullptr;
}

extern "C" void steady_profile_leave_label(steady::profile::label_node* node) noexcept {
    auto& t = steady::profile::detail::mine;
    t.scopes = node->outer;
    t.interned = nullptr;
}
