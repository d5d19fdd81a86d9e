// main.go - the oracle: drives Go's real runtime by scripts and prints what it did.
//
// Everything steady::slice and steady::go::map promise is "what the runtime does".
// This program asks the runtime itself, so that the files in tests/golden can be
// made again and fresh random scripts can be compared (tests/oracle/live_fuzz.py).
//
//	oracle map [FILE]                      run a map script; - or nothing: standard input
//	oracle slice chain|grid|big|full ES|make
//	oracle slice sample                    lines ES C NEED on standard input
//	oracle heap classes|maps
//	oracle heap one KEY ELEM N HINT        HINT is 0 or 1
//
// docs/guide/replay.md describes the formats; `steady replay` takes the same words.
//
//	pinned.go    the runtime's own functions, and its random state held still
//	types.go     the types a script can name, their canonical bytes, their hashes
//	layout.go    reading a map's memory: arrays, chains, cells
//	access.go    the ways into a map: generic, by key size, by reflection
//	machine.go   one map under a script: operations, traces, iterators
//	script.go    the script's lines
//	dump.go      dumps, hashes of dumps, statistics
//	slices.go    what append and make allocate
//	heap.go      what maps cost
//
// Exit codes: 0 done, 2 a wrong command line or a wrong script.
package main

import (
	"bufio"
	"fmt"
	"os"
)

var out = bufio.NewWriterSize(os.Stdout, 1<<16)

// fail ends the program; what was printed until then is still worth reading.
func fail(format string, arguments ...any) {
	out.Flush()
	fmt.Fprintf(os.Stderr, "oracle: "+format+"\n", arguments...)
	os.Exit(2)
}

func usage() {
	fail("the command line is not one of\n" +
		"  oracle map [FILE]\n" +
		"  oracle slice chain | grid | big | full ES | sample | make\n" +
		"  oracle heap classes | maps | one KEY ELEM N HINT")
}

func main() {
	words := os.Args[1:]
	if len(words) == 0 {
		usage()
	}
	pinRuntime()
	switch words[0] {
	case "map":
		if len(words) > 2 {
			usage()
		}
		name := "-"
		if len(words) == 2 {
			name = words[1]
		}
		runScript(name)
	case "slice":
		runSlice(words[1:])
	case "heap":
		runHeap(words[1:])
	default:
		usage()
	}
	if out.Flush() != nil {
		fail("the output could not be written")
	}
}
