// heap.go - what maps cost: measured by MemStats, then explained by the map's memory.
//
// The collector is off, so what a map outgrew is counted too: bytes = live + dead.
package main

import (
	"fmt"
	"math/bits"
	"runtime"
	"strconv"
	"strings"
	"unsafe"
)

func runHeap(words []string) {
	switch {
	case len(words) == 1 && words[0] == "classes":
		heapClasses()
	case len(words) == 1 && words[0] == "maps":
		heapMaps()
	case len(words) == 5 && words[0] == "one":
		key, keyKnown := parseType(words[1])
		elem, elemKnown := parseType(words[2])
		n, isNumber := parseNumber(words[3])
		if !keyKnown || !elemKnown || key.kind != kindInteger {
			fail("heap one takes an integer key and an elem type, not %s:%s", words[1], words[2])
		}
		if !isNumber || n > 1<<30 || key.size < 8 && n > 1<<(8*key.size) {
			fail("heap one takes a number of entries that %s can tell apart, not '%s'", key.name, words[3])
		}
		if words[4] != "0" && words[4] != "1" {
			fail("the hint is 0 or 1, not '%s'", words[4])
		}
		heapOne(key, elem, int(n), words[4] == "1")
	default:
		usage()
	}
}

const pageSize = 8192

var roundedSizes = []uintptr{0, 1, 8, 9, 1016, 1017, 1024, 1025, 32760, 32767, 32768, 32769, 40960,
	40961, 1048576, 1048577}

func heapClasses() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Fprintf(out, "numclasses=%d pagesize=%d maxsmall=%d bysize_entries=%d\n", len(classToSize),
		pageSize, classToSize[len(classToSize)-1], len(stats.BySize))
	before := 0
	for class := 1; class < len(classToSize); class++ {
		size, span := int(classToSize[class]), int(classToPages[class])*pageSize
		objects := span / size
		tail := span - objects*size
		worst := float64((size-before-1)*objects+tail) / float64(span)
		align := 1 << bits.TrailingZeros(uint(size))
		if align > pageSize {
			align = pageSize
		}
		confirmed := "-"
		if class < len(stats.BySize) {
			confirmed = "WRONG"
			if int(stats.BySize[class].Size) == size {
				confirmed = "ok"
			}
		}
		fmt.Fprintf(out, "class=%d bytes=%d span=%d objects=%d tail_waste=%d max_waste=%.2f%% min_align=%d bysize=%s\n",
			class, size, span, objects, tail, 100*worst, align, confirmed)
		before = size
	}
	for _, size := range roundedSizes {
		fmt.Fprintf(out, "roundupsize %d -> %d\n", size, roundupsize(size))
	}
}

var mapElems = []string{"str", "u64", "b200"}
var mapCounts = []int{8, 9, 100, 1000, 10000, 100000, 1000000}
var hintCounts = []int{0, 1, 8, 9, 13, 14, 26, 27, 52, 53, 104, 105, 208, 209, 416, 417, 832, 833, 1000,
	1664, 1665, 10000, 100000, 1000000}

func heapMaps() {
	key, _ := parseType("u64")
	for _, name := range mapElems {
		elem, _ := parseType(name)
		for _, n := range mapCounts {
			heapOne(key, elem, n, false)
			heapOne(key, elem, n, true)
		}
	}
	for _, name := range mapElems[:2] {
		elem, _ := parseType(name)
		for _, n := range hintCounts {
			heapHint(key, elem, n)
		}
	}
}

func heapHint(key, elem valueType, n int) {
	var m *machine
	mallocs, bytes := cost(func() { m = quietMachine(key, elem) }, func() { m.make(n, true) })
	fmt.Fprintf(out, "hint %s:%s %d B=%d mallocs=%d bytes=%d\n", key.name, elem.name, n, m.h.B, mallocs, bytes)
}

// quietMachine is a machine that has printed nothing and will allocate nothing of its own.
func quietMachine(key, elem valueType) *machine {
	collectNow()
	collectedAt = ^uint64(0) >> 1 // no collection until the next machine
	return &machine{key: key, elem: elem, t: mapTypeOf(key, elem, "fmix"), keyRoom: key.room(),
		elemRoom: elem.room(), digest: make([]byte, 0, 256), sinceCollect: -1 << 62}
}

// deadArray is one that the map outgrew.
type deadArray struct {
	B     uint8
	bytes uintptr
}

func heapOne(key, elem valueType, n int, hinted bool) {
	var m *machine
	var dead [64]deadArray
	var deadCount int
	prepare := func() { m, deadCount = quietMachine(key, elem), 0 }
	mallocs, bytes := cost(prepare, func() {
		if hinted {
			m.make(n, true)
		} else {
			m.make(0, false)
		}
		for i := 0; i < n; i++ {
			key.number(m.keyRoom, uint64(i))
			grown := m.grows + m.same
			m.set()
			if m.grows+m.same != grown && deadCount < len(dead) {
				dead[deadCount] = deadArray{m.beforeB, arrayOf(m.t, m.beforeBuckets, m.beforeB).bytes()}
				deadCount++
			}
		}
	})
	hint := "none"
	if hinted {
		hint = strconv.Itoa(n)
	}
	h := m.h
	growing := oneIf(h.oldbuckets != nil)
	fmt.Fprintf(out, "map %s:%s n=%d hint=%s mallocs=%d bytes=%d B=%d growing=%d noverflow=%d grows=%d same=%d\n",
		key.name, elem.name, n, hint, mallocs, bytes, h.B, growing, h.noverflow, m.grows, m.same)
	m.explain(bytes, mallocs, dead[:deadCount])
}

// explain prints where the measured bytes are. The array that an unfinished growth
// still reads is live.
func (m *machine) explain(bytes, mallocs uint64, dead []deadArray) {
	h := m.h
	live, objects := uint64(0), uint64(0)
	count := func(size uintptr, n uint64) uint64 {
		live += uint64(size) * n
		objects += n
		return uint64(size) * n
	}
	count(48, 1)
	fmt.Fprintln(out, "  live hmap=48x1")
	if h.extra != nil {
		count(24, 1)
		fmt.Fprintln(out, "  live mapextra=24x1")
	}
	arrays := []array{}
	if h.buckets != nil {
		arrays = append(arrays, currentArray(m.t, h))
	}
	if h.oldbuckets != nil {
		arrays = append(arrays, oldArray(m.t, h))
		dead = dead[:len(dead)-1]
	}
	for _, a := range arrays {
		size, regular := a.bytes(), a.regular*a.bucketSize
		spare := (a.all - a.regular) * a.bucketSize
		count(size, 1)
		fmt.Fprintf(out, "  live array B=%d bytes=%d regular=%d prealloc=%d (%d buckets) slack=%d\n",
			bits.TrailingZeros64(uint64(a.regular)), size, regular, spare, a.all-a.regular, size-regular-spare)
	}
	for _, a := range arrays {
		used, extra := overflowBuckets(a, arrays[0])
		size := roundupsize(a.bucketSize)
		fmt.Fprintf(out, "  live overflow prealloc_used=%d of %d extra=%dx%d=%d\n", used, a.all-a.regular, extra,
			size, count(size, extra))
	}
	if h.extra != nil {
		for _, list := range []*[]unsafe.Pointer{h.extra.overflow, h.extra.oldoverflow} {
			if list != nil {
				count(24, 1)
				backing := uint64(0)
				if cap(*list) > 0 {
					backing = count(roundupsize(uintptr(cap(*list))*8), 1)
				}
				fmt.Fprintf(out, "  live ovfslice header=24 len=%d cap=%d backing=%d\n", len(*list), cap(*list), backing)
			}
		}
	}
	if m.t.flags&indirectElem != 0 {
		fmt.Fprintf(out, "  live indirect objects=%d bytes=%d\n", h.count,
			count(roundupsize(m.elem.size), uint64(h.count)))
	}
	deadBytes := uint64(0)
	words := make([]string, 0, len(dead))
	for _, each := range dead {
		deadBytes += uint64(each.bytes)
		words = append(words, fmt.Sprintf("B%d:%d", each.B, each.bytes))
	}
	fmt.Fprintf(out, "  dead arrays=%d bytes=%d [%s]\n", len(dead), deadBytes, strings.Join(words, " "))
	fmt.Fprintf(out, "  total live=%d objects=%d dead_overflow_etc bytes=%d objects=%d\n", live, objects,
		bytes-live-deadBytes, mallocs-objects-uint64(len(dead)))
}

// overflowBuckets counts those in an array's chains, preallocated or on their own.
func overflowBuckets(a, current array) (used, extra uint64) {
	for i := uintptr(0); i < a.regular; i++ {
		for b := a.bucket(i).next(); b.at != nil; b = b.next() {
			if _, ok := a.preallocated(b.at); ok {
				used++
			} else {
				extra++
			}
		}
	}
	return
}
