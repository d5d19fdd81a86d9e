// tracked.hpp - elements that know how many of them are alive, and that throw when told.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace steady::test {

/// Every object made is destroyed once: `alive` says how many are missing.
struct tracked {
    static inline int alive = 0;
    static inline int copies = 0;
    static inline int moves = 0;
    static inline int copies_of_dead = 0;
    /// Copies, moves and values to make until one throws; below 0: never.
    static inline int until_throw = -1;

    static void step() {
        if (until_throw >= 0 && until_throw-- == 0) throw std::runtime_error("told to");
    }

    std::string text;

    tracked() { enter(); }
    tracked(const char* t) : text((step(), t)) { enter(); }
    tracked(std::string t) : text((step(), std::move(t))) { enter(); }
    tracked(const tracked& other) : text((step(), other.text)) {
        ++copies;
        if (!other.sound()) ++copies_of_dead;
        enter();
    }
    tracked(tracked&& other) noexcept : text(std::move(other.text)) {
        ++moves;
        enter();
    }
    tracked& operator=(const tracked& other) {
        step();
        ++copies;
        text = other.text;
        return *this;
    }
    tracked& operator=(tracked&& other) noexcept {
        ++moves;
        text = std::move(other.text);
        return *this;
    }
    ~tracked() {
        --alive;
        marker = nullptr;
    }
    friend bool operator==(const tracked& a, const tracked& b) { return a.text == b.text; }
    friend auto operator<=>(const tracked& a, const tracked& b) { return a.text <=> b.text; }

    /// Points to itself while it is alive: a copy of its bytes elsewhere would not.
    [[nodiscard]] bool sound() const { return marker == this; }

private:
    void enter() {
        ++alive;
        marker = this;
    }
    const tracked* marker = nullptr;
};

/// Sets until_throw for a scope.
struct throwing_after {
    explicit throwing_after(int steps) { tracked::until_throw = steps; }
    ~throwing_after() { tracked::until_throw = -1; }
};

}  // namespace steady::test
