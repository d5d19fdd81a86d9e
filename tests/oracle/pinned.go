// pinned.go - the runtime's own map and slice functions by their linker names, and
// the one thing in them that is not reproducible, the random state, held still.
//
// The goroutine is locked to its thread, so `m.fastrand` is one word in memory. It
// is found by drawing a number and looking which word of m moved by wyrand's
// increment. Before an operation that word is set to the script's state and
// afterwards read back, so what else the program draws in between does no harm.
//
// Inside an operation nothing else may draw. What could:
//
//	the collector           runs between operations only (collectNow)
//	the allocation profiler switched off: it draws the distance to its next sample
//	a growing stack         the stack is made large beforehand and after each collection
//	the scheduler           a locked thread that is preempted parks without a draw
//
// and end() stops the program when an operation seems to have drawn too often.
package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"unsafe"
)

//go:linkname makemap runtime.makemap
func makemap(t *mapType, hint int, h *hmap) *hmap

//go:linkname makemapSmall runtime.makemap_small
func makemapSmall() *hmap

//go:linkname mapassign runtime.mapassign
func mapassign(t *mapType, h *hmap, key unsafe.Pointer) unsafe.Pointer

//go:linkname mapaccess2 runtime.mapaccess2
func mapaccess2(t *mapType, h *hmap, key unsafe.Pointer) (unsafe.Pointer, bool)

//go:linkname mapdelete runtime.mapdelete
func mapdelete(t *mapType, h *hmap, key unsafe.Pointer)

//go:linkname mapassignFast32 runtime.mapassign_fast32
func mapassignFast32(t *mapType, h *hmap, key uint32) unsafe.Pointer

//go:linkname mapaccess2Fast32 runtime.mapaccess2_fast32
func mapaccess2Fast32(t *mapType, h *hmap, key uint32) (unsafe.Pointer, bool)

//go:linkname mapdeleteFast32 runtime.mapdelete_fast32
func mapdeleteFast32(t *mapType, h *hmap, key uint32)

//go:linkname mapassignFast64 runtime.mapassign_fast64
func mapassignFast64(t *mapType, h *hmap, key uint64) unsafe.Pointer

//go:linkname mapaccess2Fast64 runtime.mapaccess2_fast64
func mapaccess2Fast64(t *mapType, h *hmap, key uint64) (unsafe.Pointer, bool)

//go:linkname mapdeleteFast64 runtime.mapdelete_fast64
func mapdeleteFast64(t *mapType, h *hmap, key uint64)

//go:linkname mapassignFaststr runtime.mapassign_faststr
func mapassignFaststr(t *mapType, h *hmap, key string) unsafe.Pointer

//go:linkname mapaccess2Faststr runtime.mapaccess2_faststr
func mapaccess2Faststr(t *mapType, h *hmap, key string) (unsafe.Pointer, bool)

//go:linkname mapdeleteFaststr runtime.mapdelete_faststr
func mapdeleteFaststr(t *mapType, h *hmap, key string)

//go:linkname mapclear runtime.mapclear
func mapclear(t *mapType, h *hmap)

//go:linkname mapiterinit runtime.mapiterinit
func mapiterinit(t *mapType, h *hmap, it *hiter)

//go:linkname mapiternext runtime.mapiternext
func mapiternext(it *hiter)

//go:linkname typedmemmove runtime.typedmemmove
func typedmemmove(t *rtype, to, from unsafe.Pointer)

//go:linkname growslice runtime.growslice
func growslice(t *rtype, old sliceHeader, need int) sliceHeader

//go:linkname makeslice runtime.makeslice
func makeslice(t *rtype, len, cap int) unsafe.Pointer

//go:linkname roundupsize runtime.roundupsize
func roundupsize(size uintptr) uintptr

//go:linkname fastrand runtime.fastrand
func fastrand() uint32

//go:linkname classToSize runtime.class_to_size
var classToSize [68]uint16

//go:linkname classToPages runtime.class_to_allocnpages
var classToPages [68]uint8

func currentG() unsafe.Pointer

const (
	wyrandStep  = 0xa0761d6478bd642f
	offsetOfM   = 48   // in g: behind the stack's bounds, two guards, _panic and _defer
	sizeOfM     = 1400 // bytes of m to look at; the word is in the first 400
	mostDraws   = 1 << 16
	stackInUse  = 256 << 10
	collectEach = 256 << 20 // bytes allocated between two collections
)

// runtimeRandom is this thread's m.fastrand. It is not on the Go heap.
var runtimeRandom *uint64

func pinRuntime() {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1) // less goes on beside the measurements
	runtime.MemProfileRate = 0
	debug.SetGCPercent(-1)
	growStack()
	m := *(**[sizeOfM / 8]uint64)(unsafe.Add(currentG(), offsetOfM))
	before := *m
	fastrand()
	for i, old := range before {
		if m[i] == old+wyrandStep {
			runtimeRandom = &m[i]
		}
	}
	if runtimeRandom == nil {
		fail("m.fastrand was not found: this runtime is not the one of go1.19 (it is %s)",
			runtime.Version())
	}
	collectWhenDue() // the first reading of metrics allocates
	*runtimeRandom = 0
	if fastrand() != 0x8f59a58e {
		fail("m.fastrand was found but fastrand() does not follow it")
	}
}

//go:noinline
func growStack() byte {
	var large [stackInUse]byte
	for i := 0; i < len(large); i += 4096 {
		large[i] = byte(i)
	}
	return large[len(large)/2]
}

// wyrandStepInverse times wyrandStep is 1: it turns a distance into a number of draws.
var wyrandStepInverse = func() uint64 {
	inverse := uint64(wyrandStep) // right in the lowest three bits; doubles with each step
	for i := 0; i < 5; i++ {
		inverse *= 2 - wyrandStep*inverse
	}
	return inverse
}()

// draws tells how often the runtime drew between two states.
func draws(before, after uint64) uint64 { return (after - before) * wyrandStepInverse }

var allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
var collectedAt uint64

// collectWhenDue frees what scripts have left behind, now and then.
func collectWhenDue() {
	metrics.Read(allocated)
	if now := allocated[0].Value.Uint64(); now-collectedAt > collectEach {
		collectedAt = now
		collectNow()
	}
}

func collectNow() {
	runtime.GC()
	growStack() // a collection halves stacks that look unused
}
