// entries.hpp - how a concurrent map keeps one entry in the words of a slot.
//
//   inline   | key: 1 or 2 words | value: 1 or 2 words |
//   node     | hash | node* |  -> node: | value or V* | key |, for text | value | length | text |
//
// An entry is inline when its bytes may be copied at any moment and its hash cannot throw: no
// code of a user runs while a slot is half written. A value of one word is changed by a store;
// an inline value of two in a window (segment.hpp); any other is replaced by a new one, and
// the old one given to whoever frees it when nobody looks (hazard.hpp).

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "steady/concurrent/detail/table.hpp"
#include "steady/concurrent/hazard.hpp"
#include "steady/map/hash_policy.hpp"

namespace steady::concurrent_detail {

template <class K>
inline constexpr bool owned_text = false;
template <class A>
inline constexpr bool owned_text<std::basic_string<char, std::char_traits<char>, A>> =
    std::is_same_v<A, std::allocator<char>>;

/// A seed for the map at this address. A number, because the map is not made yet: a pointer
/// would look to the compiler as if somebody read it.
[[gnu::noinline]] inline std::uint64_t seed_at(std::uintptr_t address) noexcept {
    return detail::new_seed(reinterpret_cast<const void*>(address));
}

template <class T>
inline constexpr unsigned words_of = static_cast<unsigned>((sizeof(T) + 7) / 8);

/// T as words and back; padding of the last word is zero.
template <class T>
[[gnu::always_inline]] inline void to_words(const T& from, std::uint64_t* words) noexcept {
    words[words_of<T> - 1] = 0;
    std::memcpy(words, &from, sizeof(T));
}
template <class T>
[[nodiscard, gnu::always_inline]] inline T from_words(const std::uint64_t* words) noexcept {
    alignas(T) std::byte room[sizeof(T)];
    std::memcpy(room, words, sizeof(T));
    return *std::launder(reinterpret_cast<T*>(room));
}

template <class K, class Equal>
inline constexpr bool words_decide =
    (std::is_integral_v<K> || std::is_enum_v<K> ||
     std::is_pointer_v<K>)&&(std::is_same_v<Equal, map_equal<K>> ||
                             std::is_same_v<Equal, std::equal_to<K>> ||
                             std::is_same_v<Equal, std::equal_to<>>);

/// What a map's types decide: its slots, its nodes, and how an entry is made, seen and changed.
template <class K, class V, class Hash, class Equal, unsigned LargestLog>
struct entries {
    static constexpr bool inline_entries = std::is_trivially_copyable_v<K> &&
                                           std::is_trivially_copyable_v<V> && sizeof(K) <= 16 &&
                                           sizeof(V) <= 16 && detail::quiet_hash<Hash, K>;
    static constexpr bool word_value = std::is_trivially_copyable_v<V> && sizeof(V) <= 8;
    static constexpr unsigned key_words = inline_entries ? words_of<K> : 1;
    static constexpr unsigned value_words = inline_entries ? words_of<V> : 1;
    static constexpr unsigned slot_words = key_words + value_words;

    /// Text stands in its node, behind it: a lookup follows one pointer, not two.
    static constexpr bool text_nodes =
        !inline_entries && owned_text<K> && std::is_same_v<Equal, map_equal<K>>;
    struct plain_node {
        word value;  // the value itself, or the address of it
        K name;
        template <class Q>
        explicit plain_node(Q&& k) : name(std::forward<Q>(k)) {}
        [[nodiscard]] const K& key() const noexcept { return name; }
        template <class Q>
        static plain_node* make(Q&& k) {
            return new plain_node(std::forward<Q>(k));
        }
        static void free(plain_node* n) noexcept { delete n; }
    };
    struct text_node {
        word value;
        std::size_t length;
        [[nodiscard]] std::string_view key() const noexcept {
            return {reinterpret_cast<const char*>(this + 1), length};
        }
        static text_node* make(std::string_view k) {
            auto* n = new (::operator new(sizeof(text_node) + k.size())) text_node;
            n->length = k.size();
            std::memcpy(static_cast<void*>(n + 1), k.data(), k.size());
            return n;
        }
        static void free(text_node* n) noexcept {
            n->~text_node();
            ::operator delete(static_cast<void*>(n));
        }
    };
    using node = std::conditional_t<text_nodes, text_node, plain_node>;

    /// How a split learns a slot's hash.
    struct rehasher {
        [[no_unique_address]] Hash hash;
        std::uint64_t seed;
        std::uint64_t operator()(const std::uint64_t* words) const noexcept {
            if constexpr (inline_entries) {
                return detail::hash_with_seed(hash, from_words<K>(words), seed);
            } else {
                return words[0];
            }
        }
    };
    using table = concurrent_detail::table<slot_words, rehasher, LargestLog>;
    using slot = typename table::slot_type;
    using group = typename table::group_type;

    /// One word is compared, one changed, and no code of a user's runs: what is known of the key
    /// and the value is copied into each look, and so stays in registers (docs/design).
    static constexpr bool word_entries =
        inline_entries && slot_words == 2 && words_decide<K, Equal>;
    /// A value that is one word, of a key whose comparison is no user's code.
    static constexpr bool one_word = word_entries || (text_nodes && word_value);

    static auto is_key(const K& key) noexcept {
        std::uint64_t wanted = 0;
        to_words(key, &wanted);
        return [wanted](const slot& s) { return s.words[0].load() == wanted; };
    }
    /// The words of a new entry.
    static auto entry_of(const K& key, const V& value) noexcept {
        std::uint64_t name = 0, first = 0;
        to_words(key, &name);
        to_words(value, &first);
        return [name, first](std::uint64_t* words) {
            words[0] = name;
            words[1] = first;
            return true;
        };
    }
    static V* value_in(node* n) noexcept { return reinterpret_cast<V*>(n->value.load()); }

    static constexpr std::size_t node_size = sizeof(node) + (word_value ? 0 : sizeof(V));
    /// With its text, without what keys and values own.
    static std::size_t size_of(const node& n) noexcept {
        if constexpr (text_nodes) {
            return node_size + n.length;
        } else {
            return node_size;
        }
    }
    static void destroy_node(node* n) noexcept {
        if constexpr (!inline_entries && !word_value) delete value_in(n);
        node::free(n);
    }
    static decltype(auto) key_of(const node& n) {
        if constexpr (text_nodes) {
            return K(n.key());  // whoever sees the key sees a K
        } else {
            return (n.name);
        }
    }
    template <class F>
    static void look_at(const node& n, F&& f) {
        if constexpr (word_value) {
            const std::uint64_t v = n.value.load();
            f(n.key(), from_words<V>(&v));
        } else {
            hazard_guard guard;
            std::uint64_t v = 0;
            do v = n.value.load();
            while (!guard.protect(reinterpret_cast<void*>(v), [&] { return n.value.load() == v; }));
            f(n.key(), *reinterpret_cast<const V*>(v));
        }
    }

    template <class Q, class M>
    [[gnu::always_inline]] static void build(Q&& key, M&& value, std::uint64_t hash,
                                             std::uint64_t* words) {
        if constexpr (inline_entries) {
            const K k(std::forward<Q>(key));
            const V v(std::forward<M>(value));
            to_words(k, words);
            to_words(v, words + key_words);
        } else {
            if (refuse_allocation()) throw std::bad_alloc();
            node* n = node::make(std::forward<Q>(key));
            if constexpr (word_value) {
                std::uint64_t v = 0;
                to_words(V(std::forward<M>(value)), &v);
                n->value.store(v);
            } else {
                try {
                    n->value.store(reinterpret_cast<std::uint64_t>(new V(std::forward<M>(value))));
                } catch (...) {
                    node::free(n);
                    throw;
                }
            }
            words[0] = hash;
            words[1] = reinterpret_cast<std::uint64_t>(n);
        }
    }

    /// A found entry, under its lock.
    struct cell_access {
        slot& s;
        std::uint64_t& state;
        group& g;
        void** replaced;  // receives an old value to be retired

        [[nodiscard]] node* node_here() const noexcept {
            return reinterpret_cast<node*>(s.words[1].load());
        }
        [[nodiscard]] V copy() const {
            if constexpr (inline_entries) {
                std::uint64_t words[value_words];
                for (unsigned w = 0; w < value_words; ++w) words[w] = s.words[key_words + w].load();
                return from_words<V>(words);
            } else if constexpr (word_value) {
                const std::uint64_t v = node_here()->value.load();
                return from_words<V>(&v);
            } else {
                return V(*value_in(node_here()));
            }
        }
        template <class M>
        void assign(M&& value) {
            if constexpr (inline_entries || word_value) {
                const V v(std::forward<M>(value));
                store(v);
            } else {
                V* fresh = new V(std::forward<M>(value));
                *replaced = value_in(node_here());
                node_here()->value.store(reinterpret_cast<std::uint64_t>(fresh));
            }
        }
        template <class F>
        void change(F&& f) {
            V v = copy();
            f(v);
            assign(std::move(v));
        }
        template <class F>
        void look(F&& f) const {
            if constexpr (inline_entries || word_value) {
                const V v = copy();
                f(v);
            } else {
                f(std::as_const(*value_in(node_here())));
            }
        }
        template <class F>
        void look_entry(F&& f) const {
            if constexpr (inline_entries) {
                std::uint64_t words[key_words];
                for (unsigned w = 0; w < key_words; ++w) words[w] = s.words[w].load();
                const K key = from_words<K>(words);
                look([&](const V& v) { f(key, v); });
            } else {
                const auto& key = key_of(*node_here());
                look([&](const V& v) { f(key, v); });
            }
        }
        /// The entry is about to be erased.
        void give_up(void** gone) const noexcept {
            if constexpr (!inline_entries) gone[0] = node_here();
        }

    private:
        void store(const V& v) noexcept {
            std::uint64_t words[words_of<V>];
            to_words(v, words);
            if constexpr (!inline_entries) {
                node_here()->value.store(words[0]);
            } else if constexpr (value_words == 1) {
                s.words[key_words].store(words[0]);
            } else {
                table::store_in_window(g, s, key_words, words, value_words, state);
            }
        }
    };
};

}  // namespace steady::concurrent_detail
