// main.go - Go's own map under the workload of bench/go: what steady's is compared with.
//
// The loops are written out for both key types (numbers.go, texts.go), as a program
// would have them, so that the compiler calls its fast functions for 8-byte and
// string keys.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

// timer adds up the time of one row over all repetitions.
type timer struct {
	name  string
	total int64
}

func (t *timer) run(f func() uint64, sum *checksum) {
	start := threadTime()
	result := f()
	t.total += threadTime() - start
	sum.add(result)
}

const (
	rowInsert = iota
	rowHint
	rowHit
	rowMiss
	rowIterate
	rowDelete
)

func bench(n int, pass func(rows []timer, sum *checksum)) {
	rows := []timer{{name: "insert"}, {name: "insert-hint"}, {name: "hit"}, {name: "miss"},
		{name: "iterate"}, {name: "delete"}}
	var sum checksum = fnvBasis
	for i := 0; i < repetitions(n); i++ {
		runtime.GC()
		pass(rows, &sum)
	}
	for _, row := range rows {
		fmt.Printf("%s %.3f\n", row.name, float64(row.total)/float64(n*repetitions(n)))
	}
	fmt.Printf("checksum %016x\n", uint64(sum))
}

// benchGrowth times single inserts around the one that starts a growth.
func benchGrowth(insert func(i int), count func() int) {
	first := growthAt - growthAround
	for i := 0; i < first; i++ {
		insert(i)
	}
	longest := int64(0)
	for i := first; i < growthAt+growthAround; i++ {
		start := threadTime()
		insert(i)
		if took := threadTime() - start; took > longest {
			longest = took
		}
	}
	var sum checksum = fnvBasis
	sum.add(uint64(count()))
	fmt.Printf("growth %d\nchecksum %016x\n", longest, uint64(sum))
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: gomap u64|str N | gomap u64|str growth")
	os.Exit(2)
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "u64" && os.Args[1] != "str" {
		usage()
	}
	growth := os.Args[2] == "growth"
	n := growthAt + growthAround
	if !growth {
		var err error
		if n, err = strconv.Atoi(os.Args[2]); err != nil || n < 1 {
			usage()
		}
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // between passes only
	keys, strangers := numbers(1, n), numbers(2, n)
	switch {
	case os.Args[1] == "u64" && growth:
		m := make(numberMap)
		benchGrowth(func(i int) { m[keys[i]] = uint64(i) }, func() int { return len(m) })
	case os.Args[1] == "u64":
		mixed := shuffled(keys)
		bench(n, func(rows []timer, sum *checksum) { passNumbers(keys, mixed, strangers, rows, sum) })
	case growth:
		m, keys := make(textMap), texts(keys)
		benchGrowth(func(i int) { m[keys[i]] = uint64(i) }, func() int { return len(m) })
	default:
		keys, strangers := texts(keys), texts(strangers)
		mixed := shuffled(keys)
		bench(n, func(rows []timer, sum *checksum) { passTexts(keys, mixed, strangers, rows, sum) })
	}
}
