// heap_instance.cpp - a heap for one job, thrown away at once: no destructor runs
// and no object is visited, so the end costs next to nothing.
#include <cstdint>
#include <iostream>
#include <new>

#include <steady/heap/heap.hpp>

// A node of a search tree. It is trivially destructible: release() runs no
// destructors, so nothing in the heap may own anything outside of it.
struct node {
    std::uint64_t key;
    node* left = nullptr;
    node* right = nullptr;
};

void insert(steady::heap& memory, node*& root, std::uint64_t key) {
    node** place = &root;
    while (*place != nullptr) place = key < (*place)->key ? &(*place)->left : &(*place)->right;
    void* fresh = memory.allocate(sizeof(node), alignof(node), steady::contents::may_hold_pointers);
    if (fresh == nullptr) throw std::bad_alloc();
    *place = new (fresh) node{key};
}

int main() {
    steady::heap scratch;
    node* tree = nullptr;
    std::uint64_t key = 1;
    for (int n = 0; n < 10'000; ++n) {
        key = key * 6364136223846793005u + 1442695040888963407u;
        insert(scratch, tree, key >> 40);
    }
    const steady::heap::usage full = scratch.read_usage();
    std::cout << full.mallocs - full.frees << " nodes\n";  // prints: 10000 nodes
    std::cout << full.live_bytes << " bytes live\n";       // prints: 240000 bytes live

    scratch.release();
    tree = nullptr;  // what it pointed to is gone

    const steady::heap::usage empty = scratch.read_usage();
    std::cout << empty.live_bytes << " bytes live\n";  // prints: 0 bytes live
    std::cout << empty.span_bytes << " bytes held\n";  // prints: 0 bytes held

    insert(scratch, tree, 7);        // the heap itself stands, for the next job
    std::cout << tree->key << '\n';  // prints: 7
}
