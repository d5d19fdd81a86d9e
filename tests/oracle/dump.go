// dump.go - a map's memory as text, the hash of that text, and statistics.
//
// Normalised dumps show live cells only. Raw ones show everything that is still
// linked: stale keys, the chains of evacuated buckets, where each bucket lies.
package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"unsafe"
)

func modeName(raw bool) string {
	if raw {
		return "raw"
	}
	return "norm"
}

func (m *machine) header(raw bool) string {
	h := m.h
	flags := h.flags
	if !raw {
		flags &= flagSameSize
	}
	next := "-"
	if h.extra != nil && h.extra.nextOverflow != nil {
		if k, ok := currentArray(m.t, h).preallocated(h.extra.nextOverflow); ok {
			next = strconv.FormatUint(uint64(k), 10)
		}
	}
	return fmt.Sprintf("count=%d flags=%d B=%d noverflow=%d nevacuate=%d old=%d next=%s", h.count,
		flags, h.B, h.noverflow, h.nevacuate, oneIf(h.oldbuckets != nil), next)
}

// dumpText calls write with the dump line by line, from H to the last bucket.
func (m *machine) dumpText(raw bool, write func([]byte)) {
	h := m.h
	write([]byte("H " + m.header(raw) + "\n"))
	if raw {
		write([]byte(fmt.Sprintf("R hash0=%08x fastrand=%016x\n", h.hash0, m.random)))
		overflow, old := "-", "-"
		if h.extra != nil {
			overflow, old = lengths(h.extra.overflow), lengths(h.extra.oldoverflow)
		}
		write([]byte(fmt.Sprintf("X extra=%d overflow=%s oldoverflow=%s\n", oneIf(h.extra != nil),
			overflow, old)))
	}
	if h.buckets != nil {
		m.dumpArray('N', currentArray(m.t, h), raw, write)
	}
	if h.oldbuckets != nil {
		m.dumpArray('O', oldArray(m.t, h), raw, write)
	}
}

func lengths(buckets *[]unsafe.Pointer) string {
	if buckets == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d", len(*buckets), cap(*buckets))
}

func (m *machine) dumpArray(letter byte, a array, raw bool, write func([]byte)) {
	line := make([]byte, 0, 512)
	for i := uintptr(0); i < a.regular; i++ {
		head := a.bucket(i)
		moved := letter == 'O' && head.evacuated()
		chain := uint64(0)
		for b := head; b.at != nil; b = b.next() {
			line = append(line[:0], letter, ' ')
			line = strconv.AppendUint(line, uint64(i), 10)
			line = append(line, '.')
			line = strconv.AppendUint(line, chain, 10)
			if raw {
				line = append(line, ' ')
				if chain == 0 {
					line = append(line, 'h')
				} else if k, ok := a.preallocated(b.at); ok {
					line = strconv.AppendUint(append(line, 'p'), uint64(k), 10)
				} else {
					line = append(line, 'x')
				}
			}
			line = append(line, ' ')
			line = appendHex(line, b.top()[:])
			for cell := uintptr(0); cell < 8; cell++ {
				if raw || !moved && b.top()[cell] >= topLowestLive {
					line = append(line, ' ', '0'+byte(cell), ':')
					line = m.key.appendShown(line, b.key(cell))
					line = append(line, '=')
					line = m.elem.appendShown(line, b.elem(cell))
				}
			}
			write(append(line, '\n'))
			if !raw && moved {
				break
			}
			chain++
		}
	}
}

func appendHex(line, bytes []byte) []byte {
	at := len(line)
	line = append(line, make([]byte, 2*len(bytes))...)
	hex.Encode(line[at:], bytes)
	return line
}

// appendShown writes a cell's value; `at` is nil for an indirect cell without one.
func (v valueType) appendShown(line []byte, at unsafe.Pointer) []byte {
	if at == nil {
		return append(line, "nil"...)
	}
	if v.kind == kindString {
		text := *(*string)(at)
		if stringData(text) == nil && len(text) != 0 {
			return strconv.AppendInt(append(line, "nil/"...), int64(len(text)), 10)
		}
	}
	bytes := v.canonical(at)
	if len(bytes) == 0 {
		return append(line, '-')
	}
	return appendHex(line, bytes)
}

func (m *machine) dump(raw bool) {
	m.sequence++
	fmt.Fprintf(out, "dump %d %s\n", m.sequence, modeName(raw))
	hash := uint64(fnvBasis)
	m.dumpText(raw, func(line []byte) {
		hash = fnv(hash, line)
		out.Write(line)
	})
	fmt.Fprintf(out, "end %016x\n", hash)
}

func (m *machine) dumpHash(raw bool) uint64 {
	hash := uint64(fnvBasis)
	m.dumpText(raw, func(line []byte) { hash = fnv(hash, line) })
	return hash
}

func (m *machine) hashLine(raw bool) {
	m.sequence++
	fmt.Fprintf(out, "hash %d %s %s %016x\n", m.sequence, modeName(raw), m.header(raw), m.dumpHash(raw))
}

// stats counts by walking, and checks on the way that each cell is where its hash says.
func (m *machine) stats() {
	var live, ovfNew, ovfOld, longest, evacuated uint64
	walk := func(a array, overflow *uint64) {
		for i := uintptr(0); i < a.regular; i++ {
			if a.base == m.h.oldbuckets && a.bucket(i).evacuated() {
				evacuated++
				continue
			}
			chain := uint64(0)
			for b := a.bucket(i); b.at != nil; b = b.next() {
				for cell := uintptr(0); cell < 8; cell++ {
					if b.top()[cell] >= topLowestLive {
						live++
						m.checkCell(a, i, b, cell)
					}
				}
				if b.next().at != nil {
					chain++
				}
			}
			*overflow += chain
			if chain > longest {
				longest = chain
			}
		}
	}
	if m.h.buckets != nil {
		walk(currentArray(m.t, m.h), &ovfNew)
	}
	if m.h.oldbuckets != nil {
		walk(oldArray(m.t, m.h), &ovfOld)
	}
	fmt.Fprintf(out, "stats live=%d ovfnew=%d ovfold=%d maxchain=%d evacuated=%d grows=%d same=%d\n",
		live, ovfNew, ovfOld, longest, evacuated, m.grows, m.same)
}

func (m *machine) checkCell(a array, i uintptr, b bucket, cell uintptr) {
	key := b.key(cell)
	if m.key.kind == kindFloat && *(*float64)(key) != *(*float64)(key) {
		return // a NaN hashes differently each time
	}
	hash := m.t.hasher(key, uintptr(m.h.hash0))
	top := uint8(hash >> 56)
	if top < topLowestLive {
		top += topLowestLive
	}
	if hash&(a.regular-1) != i || top != b.top()[cell] {
		fail("cell %d of bucket %d holds a key with hash %016x and tophash %02x", cell, i, hash,
			b.top()[cell])
	}
}
