// operators_test.cpp - all 20 replaceable forms of new and delete, and what they
// do without memory: N1 and N2 of src/malloc/new_delete.cpp.
#include <new>
#include <vector>

#include "support.hpp"

namespace {

constexpr std::size_t too_large = std::size_t{PTRDIFF_MAX} + 1;

struct alignas(16) sixteen {
    char bytes[16];
};
struct alignas(256) wide {
    char bytes[512];
};

TEST(operators, every_form_of_new_meets_every_form_of_delete) {
    for (std::size_t size = 0; size < 3'000'000; size = size * 3 / 2 + 1) {
        const auto check = [&](void* p, std::size_t alignment) {
            EXPECT_NE(p, nullptr);
            EXPECT_TRUE(is_aligned(p, alignment));
            EXPECT_GE(malloc_usable_size(p), size);
            sign(p, size, size);
            EXPECT_EQ(first_wrong(p, size, size), size);
            return p;
        };
        const std::size_t plain = size > 8 ? 16 : 8;
        ::operator delete(check(opaque(::operator new(size)), plain));
        ::operator delete(check(opaque(::operator new(size)), plain), size);
        ::operator delete(check(opaque(::operator new(size, std::nothrow)), plain), std::nothrow);
        ::operator delete[](check(opaque(::operator new[](size)), plain));
        ::operator delete[](check(opaque(::operator new[](size)), plain), size);
        ::operator delete[](check(opaque(::operator new[](size, std::nothrow)), plain),
                            std::nothrow);
        for (std::size_t alignment : {8u, 32u, 256u, 4096u, 1u << 21}) {
            const std::align_val_t a{alignment};
            ::operator delete(check(opaque(::operator new(size, a)), alignment), a);
            ::operator delete(check(opaque(::operator new(size, a)), alignment), size, a);
            ::operator delete(check(opaque(::operator new(size, a, std::nothrow)), alignment), a,
                              std::nothrow);
            ::operator delete[](check(opaque(::operator new[](size, a)), alignment), a);
            ::operator delete[](check(opaque(::operator new[](size, a)), alignment), size, a);
            ::operator delete[](check(opaque(::operator new[](size, a, std::nothrow)), alignment),
                                a, std::nothrow);
        }
    }
}

TEST(operators, delete_of_null_does_nothing) {
    const auto none = [] { return opaque<void*>(nullptr); };
    ::operator delete(none());
    ::operator delete (none(), std::size_t{100});
    ::operator delete(none(), std::nothrow);
    ::operator delete (none(), std::align_val_t{64});
    ::operator delete (none(), std::size_t{100}, std::align_val_t{64});
    ::operator delete[](none());
    ::operator delete[](none(), std::size_t{100});
}

TEST(operators, expressions_use_them) {
    delete opaque(new int{7});
    delete[] opaque(new sixteen[100]);
    delete opaque(new wide);
    delete[] opaque(new wide[5]);
    auto* many = opaque(new wide[3]);
    EXPECT_TRUE(is_aligned(many, 256));
    delete[] many;
}

TEST(operators, throwing_forms_throw_bad_alloc) {
    const std::size_t size = opaque(too_large);
    EXPECT_THROW(opaque(::operator new(size)), std::bad_alloc);
    EXPECT_THROW(opaque(::operator new[](size)), std::bad_alloc);
    EXPECT_THROW(opaque(::operator new (size, std::align_val_t{64})), std::bad_alloc);
    EXPECT_THROW(opaque(::operator new[](size, std::align_val_t{64})), std::bad_alloc);
    EXPECT_THROW(opaque(::operator new(opaque(std::size_t{1} << 62))), std::bad_alloc);
}

TEST(operators, nothrow_forms_return_null) {
    const std::size_t size = opaque(too_large);
    EXPECT_EQ(opaque(::operator new(size, std::nothrow)), nullptr);
    EXPECT_EQ(opaque(::operator new[](size, std::nothrow)), nullptr);
    EXPECT_EQ(opaque(::operator new (size, std::align_val_t{64}, std::nothrow)), nullptr);
    EXPECT_EQ(opaque(::operator new[](size, std::align_val_t{64}, std::nothrow)), nullptr);
}

// ---- The new handler. Each form calls it once for every failure until it throws
// or takes itself out.

int handler_calls = 0;

void give_up_the_third_time() {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
}

template <class Form>
int calls_until(Form form) {
    handler_calls = 0;
    std::set_new_handler(give_up_the_third_time);
    try {
        EXPECT_EQ(opaque(form(opaque(too_large))), nullptr);
    } catch (const std::bad_alloc&) {
    }
    std::set_new_handler(nullptr);
    return handler_calls;
}

TEST(operators, every_form_calls_the_new_handler_until_it_gives_up) {
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new(n); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new[](n); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new(n, std::nothrow); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new[](n, std::nothrow); }), 3);
    constexpr std::align_val_t a{128};
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new(n, a); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new[](n, a); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new(n, a, std::nothrow); }), 3);
    EXPECT_EQ(calls_until([](std::size_t n) { return ::operator new[](n, a, std::nothrow); }), 3);
}

TEST(operators, what_the_new_handler_throws_reaches_the_caller) {
    struct restore {
        ~restore() { std::set_new_handler(nullptr); }
    } guard;
    std::set_new_handler([] { throw std::bad_alloc{}; });
    EXPECT_THROW(opaque(::operator new(opaque(too_large))), std::bad_alloc);
    EXPECT_EQ(opaque(::operator new(opaque(too_large), std::nothrow)), nullptr);
}

TEST(operators, an_exception_unwinds_through_the_frames_of_its_caller) {
    std::vector<int> destroyed;
    struct note {
        std::vector<int>& list;
        int value;
        ~note() { list.push_back(value); }
    };
    try {
        note outer{destroyed, 1};
        note inner{destroyed, 2};
        put(::operator new(opaque(too_large)));
        FAIL() << "reached";
    } catch (const std::bad_alloc& e) {
        EXPECT_STREQ(e.what(), "std::bad_alloc");
    }
    EXPECT_EQ(destroyed, (std::vector<int>{2, 1}));
}

}  // namespace
