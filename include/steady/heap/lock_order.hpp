// lock_order.hpp - every lock of the heap, in the order in which it may be
// taken. A thread that holds one may take those below it, never one above.
//
//   1  init          opening the heap, once
//   2  registry      the list of thread caches (and of heap instances)
//   3  instance      one heap instance
//   4  cache         one thread cache: its owner's slow path, or whoever empties it
//   5  quarantine    freed objects waiting in checked mode; retired guarded ones
//   6  central       one span class of one heap
//   7  room          taking memory under a limit
//   8  releasing     free pages on their way to the system
//   9  pages         one node's page heap, its span records, the address map
//   10 huge          the huge blocks
//   11 metadata      bump allocation of records
//
// fork() takes them all in this order, but for `metadata`, whose callers hold
// one of the others. The depot and the magazine stacks have no lock. Hooks are
// announced with locks 4..11 held at most, so a listener must not allocate.
//
// Kept by reading: each file that takes two of them says so where it does.
#pragma once
