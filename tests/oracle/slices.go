// slices.go - the capacities that growslice arrives at, and the bytes that make costs.
//
// Only an element's size matters to either, so the elements are byte arrays. The
// slices that grow are empty (their length is 0): nothing needs copying, and what
// is never touched costs address space only.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"
)

type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

const sliceMemory = 1 << 30

func runSlice(words []string) {
	debug.SetMemoryLimit(sliceMemory) // and no collection before
	switch {
	case len(words) == 1 && words[0] == "chain":
		sliceChains()
	case len(words) == 1 && words[0] == "grid":
		sliceGrid()
	case len(words) == 1 && words[0] == "big":
		sliceBig()
	case len(words) == 2 && words[0] == "full":
		size, err := strconv.Atoi(words[1])
		if err != nil || size < 1 {
			fail("an element has 1 byte or more, not '%s'", words[1])
		}
		g := growing(size)
		for c := 0; c <= 5000; c++ {
			fmt.Fprintln(out, size, c, g.cap(c, c+1))
		}
	case len(words) == 1 && words[0] == "sample":
		sliceSample()
	case len(words) == 1 && words[0] == "make":
		debug.SetMemoryLimit(math.MaxInt64) // collected between measurements
		sliceMake()
	default:
		usage()
	}
}

func arrayType(size int) *rtype {
	t := reflect.ArrayOf(size, reflect.TypeOf(uint8(0)))
	return (*[2]*rtype)(unsafe.Pointer(&t))[1]
}

// grower asks for slices of one element size. The type's record is made once.
type grower struct{ element *rtype }

func growing(size int) grower { return grower{arrayType(size)} }

var someElement byte

// cap is the capacity of a slice of capacity c that was made to hold `need`.
func (g grower) cap(c, need int) int {
	old := sliceHeader{unsafe.Pointer(&someElement), 0, c}
	return growslice(g.element, old, need).cap
}

// A chain ends with the first capacity of 256 MiB; three sizes go on to 2 GiB.
const (
	chainBytes     = 256 << 20
	longChainBytes = 2 << 30
)

var longChains = map[int]bool{1: true, 8: true, 24: true}

var chainSizes = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 20, 24, 28, 32, 33, 36,
	40, 48, 56, 64, 65, 72, 80, 96, 100, 112, 120, 128, 144, 160, 192, 200, 208, 255, 256, 257, 272, 512,
	513, 1000, 1024, 1152, 2048, 4096, 5000, 8192, 10000, 32768, 32769, 100000}

func sliceChains() {
	for _, size := range chainSizes {
		g := growing(size)
		fmt.Fprintf(out, "chain es=%d:", size)
		for c := 0; chainGoesOn(size, c); {
			c = g.cap(c, c+1)
			fmt.Fprintf(out, " %d", c)
		}
		fmt.Fprintln(out)
	}
}

func chainGoesOn(size, c int) bool {
	if longChains[size] {
		return c*size < longChainBytes
	}
	return c*size < chainBytes
}

// rules make a need from an old capacity.
var rules = []struct {
	name string
	need func(c int) int
}{
	{"c+1", func(c int) int { return c + 1 }},
	{"c+2", func(c int) int { return c + 2 }},
	{"c+3", func(c int) int { return c + 3 }},
	{"c+5", func(c int) int { return c + 5 }},
	{"c+c/4+1", func(c int) int { return c + c/4 + 1 }},
	{"c+c/4+193", func(c int) int { return c + c/4 + 193 }},
	{"2c-1", func(c int) int { return 2*c - 1 }},
	{"2c", func(c int) int { return 2 * c }},
	{"2c+1", func(c int) int { return 2*c + 1 }},
	{"3c+7", func(c int) int { return 3*c + 7 }},
}

const gridBytes = 16777216

var gridLargeSizes = []int{257, 264, 288, 300, 320, 384, 400, 448, 500, 511, 512, 513, 640, 768, 1000,
	1023, 1024, 1025, 1280, 1536, 2000, 2048, 3000, 4096, 4097, 8192, 10000, 16384, 32768, 32769, 65536,
	100000}

func sliceGrid() {
	sizes := make([]int, 0, 300)
	for size := 1; size <= 256; size++ {
		sizes = append(sizes, size)
	}
	for _, size := range append(sizes, gridLargeSizes...) {
		g := growing(size)
		fmt.Fprintf(out, "grid es=%d", size)
		for i, rule := range rules {
			last := 1100
			if i == 0 {
				last = 5000
			}
			hash, count := uint64(fnvBasis), 0
			for c := 0; c <= last; c++ {
				need := rule.need(c)
				if need <= c {
					continue
				}
				if need*size > gridBytes {
					break
				}
				hash = fnv(hash, binary.LittleEndian.AppendUint64(nil, uint64(g.cap(c, need))))
				count++
			}
			fmt.Fprintf(out, " %s:%d:%016x", rule.name, count, hash)
		}
		fmt.Fprintln(out)
	}
}

// Old arrays of up to 3 GiB that grow to at least 6 GiB at most.
const (
	bigOldBytes = 3 << 30
	bigNewBytes = 6 << 30
)

var bigSizes = []int{1, 2, 3, 4, 7, 8, 12, 16, 24, 32, 40, 64, 100, 128, 208, 256, 1024, 4096}
var bigCaps = []int{5001, 9999, 10000, 32767, 32768, 65535, 65536, 100000, 262144, 999999, 1000000,
	1048576, 1048577, 3000001, 10000000, 16777216, 33333333, 100000000, 134217728, 250000000, 500000000,
	536870912, 999999999, 1000000000}
var bigRules = []string{"c+1", "c+c/4+193", "2c", "2c+1"}

func sliceBig() {
	for _, size := range bigSizes {
		g := growing(size)
		for _, c := range bigCaps {
			if c*size > bigOldBytes {
				continue
			}
			for _, rule := range rules {
				if need := rule.need(c); isBigRule(rule.name) && need*size <= bigNewBytes {
					fmt.Fprintf(out, "big es=%d cap=%d need=%s newcap=%d\n", size, c, rule.name, g.cap(c, need))
					runtime.GC()
				}
			}
		}
	}
}

func isBigRule(name string) bool {
	for _, each := range bigRules {
		if each == name {
			return true
		}
	}
	return false
}

func sliceSample() {
	growers := map[int]grower{}
	lines := bufio.NewScanner(os.Stdin)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		var v [3]int
		for i := range v {
			err := error(nil)
			if len(words) < 3 {
				err = strconv.ErrSyntax
			} else {
				v[i], err = strconv.Atoi(words[i])
			}
			if err != nil || v[i] < 0 {
				fail("line %d is not ES C NEED: '%s'", n, lines.Text())
			}
		}
		if v[2] <= v[1] {
			fail("line %d needs no growth: '%s'", n, lines.Text())
		}
		g, known := growers[v[0]]
		if !known {
			g = growing(v[0])
			growers[v[0]] = g
		}
		fmt.Fprintln(out, v[0], v[1], v[2], g.cap(v[1], v[2]))
	}
}

// cost measures what f takes from the heap. Now and then the runtime allocates for
// itself meanwhile (a timer of its scavenger, a worker of its collector), which can
// only add; so it is done, each time after `prepare`, until the smallest result has
// come three times.
func cost(prepare, f func()) (mallocs, bytes uint64) {
	var before, after runtime.MemStats
	for times := 0; times < 3; {
		prepare()
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		nowMallocs, nowBytes := after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
		switch {
		case times == 0 || nowMallocs < mallocs || nowBytes < bytes:
			mallocs, bytes, times = nowMallocs, nowBytes, 1
		case nowMallocs == mallocs && nowBytes == bytes:
			times++
		}
	}
	return
}

func nothing() {}

func rtypeOf(value any) *rtype { return (*[2]*rtype)(unsafe.Pointer(&value))[0] }

const (
	tinyRequests = 4080
	makeLimit    = 131072
)

var makeLarge = []int{131073, 1048576, 1048577, 10000000, 100000000, 1073741823, 1073741824, 1073741825,
	1000000000}

func sliceMake() {
	bytes, pointers := rtypeOf(uint8(0)), rtypeOf(new(byte))
	for size := 1; size < 16; size++ {
		// A collection forgets the 16-byte block that earlier requests began.
		mallocs, total := cost(collectNow, func() {
			for i := 0; i < tinyRequests; i++ {
				makeslice(bytes, size, size)
			}
		})
		fmt.Fprintf(out, "tiny noscan %d bytes x%d: mallocs=%d bytes=%d\n", size, tinyRequests, mallocs, total)
	}
	mallocs, total := cost(nothing, func() { makeslice(bytes, 0, 0) })
	fmt.Fprintf(out, "zero noscan 0 bytes: mallocs=%d bytes=%d\n", mallocs, total)
	makeRanges("noscan", bytes, 16, 1)
	makeRanges("scan", pointers, 8, 8)
	for _, size := range makeLarge {
		_, total := cost(collectNow, func() { makeslice(bytes, size, size) })
		fmt.Fprintf(out, "make noscan %d -> %d\n", size, total)
	}
}

// makeRanges prints runs of sizes that cost the same.
func makeRanges(name string, element *rtype, first, step int) {
	from, last := first, uint64(0)
	for size := first; size <= makeLimit; size += step {
		_, total := cost(nothing, func() { makeslice(element, size/step, size/step) })
		if size == first {
			last = total
		}
		if total != last {
			fmt.Fprintf(out, "make %s %d..%d -> %d\n", name, from, size-step, last)
			from, last = size, total
		}
		if size%(1<<14) == 0 {
			collectNow()
		}
	}
	fmt.Fprintf(out, "make %s %d..%d -> %d\n", name, from, makeLimit, last)
}
