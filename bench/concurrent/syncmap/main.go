// syncmap - Go's sync.Map as a contestant of bench_concurrent_compare (compare.cpp).
//
//	syncmap ENTRIES numbers|strings
//
// fills a map and then, for each line of its input, runs one cell:
//
//	FIND ASSIGN INSERT uniform|zipf THREADS MILLISECONDS   (per cent; the rest is erase)
//	settle                                                 (the first ENTRIES keys, no others)
//
// and answers with millions of operations per second of the process's processor time (that
// of the collector is part of what such a map costs), or with 0 after settle. Keys and mixes
// are those of compare.cpp; the draws have the same distribution.
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func finalise(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func ranks(n int, zipf bool) []uint32 {
	random := rand.New(rand.NewSource(42))
	out := make([]uint32, 1<<20)
	if !zipf {
		for i := range out {
			out[i] = uint32(random.Uint64() % uint64(n))
		}
		return out
	}
	const theta = 0.99
	zeta := 0.0
	for i := 1; i <= n; i++ {
		zeta += 1 / math.Pow(float64(i), theta)
	}
	alpha, zeta2 := 1/(1-theta), 1+math.Pow(0.5, theta)
	eta := (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/zeta)
	for i := range out {
		u := random.Float64()
		uz := u * zeta
		rank := 0.0
		if uz >= 1 {
			rank = 1
			if uz >= zeta2 {
				rank = float64(n) * math.Pow(eta*u-eta+1, alpha)
			}
		}
		number := uint64(rank)
		if number > uint64(n)-1 {
			number = uint64(n) - 1
		}
		out[i] = uint32(number * 2654435761 % uint64(n))
	}
	return out
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type mix struct{ find, assign, insert uint64 }

func measure[Key any](m *sync.Map, keys []Key, draws []uint32, what mix, threads int, d time.Duration) float64 {
	var stop atomic.Bool
	var operations, sink atomic.Uint64
	var all sync.WaitGroup
	begin := processorTime()
	for t := 0; t < threads; t++ {
		all.Add(1)
		go func(t int) {
			defer all.Done()
			var sum, done uint64
			state := uint64(t)*7919 + 12345
			at := len(draws) / threads * t
			for !stop.Load() {
				for i := 0; i < 256; i++ {
					key := keys[draws[at]]
					if at++; at == len(draws) {
						at = 0
					}
					state = state*6364136223846793005 + 1442695040888963407
					dice := state >> 33 * 100 >> 31
					switch {
					case dice < what.find:
						if v, ok := m.Load(key); ok {
							sum += v.(uint64)
						}
					case dice < what.find+what.assign:
						m.Store(key, state)
					case dice < what.find+what.assign+what.insert:
						m.LoadOrStore(key, state)
					default:
						m.Delete(key)
					}
				}
				done += 256
			}
			operations.Add(done)
			sink.Add(sum)
		}(t)
	}
	time.Sleep(d)
	stop.Store(true)
	all.Wait()
	return float64(operations.Load()) * 1e3 / float64(processorTime()-begin)
}

func serve[Key any](n int, key func(uint64) Key) {
	keys := make([]Key, 2*n)
	for i := range keys {
		keys[i] = key(finalise(uint64(i)))
	}
	var m sync.Map
	settle := func() {
		for i := 0; i < n; i++ {
			m.LoadOrStore(keys[i], uint64(i))
		}
		for i := n; i < 2*n; i++ {
			m.Delete(keys[i])
		}
	}
	settle()
	draws := map[string][]uint32{} // as long as a mix needs the same
	last := 0
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "settle" {
			settle()
			fmt.Println(0)
			continue
		}
		var what mix
		var law string
		var threads, milliseconds int
		if _, err := fmt.Sscan(in.Text(), &what.find, &what.assign, &what.insert, &law, &threads, &milliseconds); err != nil {
			fmt.Fprintln(os.Stderr, "syncmap:", err)
			os.Exit(2)
		}
		over := n
		if what.find+what.assign != 100 {
			over = 2 * n
		}
		if over != last {
			draws, last = map[string][]uint32{}, over
		}
		if draws[law] == nil {
			draws[law] = ranks(over, law == "zipf")
		}
		fmt.Println(measure(&m, keys, draws[law], what, threads, time.Duration(milliseconds)*time.Millisecond))
	}
}

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "syncmap:", err)
		os.Exit(2)
	}
	if os.Args[2] == "strings" {
		serve(n, func(k uint64) string { return "user:" + strconv.FormatUint(k, 10) })
	} else {
		serve(n, func(k uint64) uint64 { return k })
	}
}
