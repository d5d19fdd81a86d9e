// workload.go - the keys, the order and the clock; ../workload.hpp is the same in C++
// and says what each is.
package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

const (
	operationsARow = 2000000
	growthAt       = 6815744
	growthAround   = 16
)

func repetitions(n int) int {
	if n >= operationsARow {
		return 1
	}
	return operationsARow / n
}

type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func numbers(seed uint64, n int) []uint64 {
	draws := splitmix(seed)
	all := make([]uint64, n)
	for i := range all {
		all[i] = draws.next()
	}
	return all
}

// texts makes hexadecimal keys that lie in one block.
func texts(all []uint64) []string {
	block := make([]byte, 0, 16*len(all))
	for _, n := range all {
		block = append(block, fmt.Sprintf("%016x", n)...)
	}
	whole := *(*string)(unsafe.Pointer(&block))
	keys := make([]string, len(all))
	for i := range keys {
		keys[i] = whole[16*i : 16*i+16]
	}
	return keys
}

func shuffled[K any](keys []K) []K {
	keys = append([]K(nil), keys...)
	draws := splitmix(3)
	for i := len(keys) - 1; i > 0; i-- {
		j := draws.next() % uint64(i+1)
		keys[i], keys[j] = keys[j], keys[i]
	}
	return keys
}

// checksum absorbs what each row found, row by row.
type checksum uint64

const fnvBasis = 0xcbf29ce484222325

func (c *checksum) add(n uint64) { *c = (*c ^ checksum(n)) * 0x100000001b3 }

const clockThreadCPU = 3

// threadTime is the processor time of this thread, in nanoseconds.
func threadTime() int64 {
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}
