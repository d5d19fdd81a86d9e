// machine.go - one map under a script: each operation with the random state pinned,
// the running trace, the growth events and the open iterators.
package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

const iteratorSlots = 8

// iterator is a script's slot. The entry it stands on was read when it got there.
type iterator struct {
	state *hiter
	entry []byte
	live  bool
}

type machine struct {
	name         string // K:E
	hash         string
	key, elem    valueType
	way          access
	t            *mapType
	h            *hmap
	keyRoom      unsafe.Pointer // one key and one elem on their way into the map
	elemRoom     unsafe.Pointer
	random       uint64
	trace        uint64
	ops          uint64
	grows, same  uint64
	events       bool
	points       entryPoints // of the next type
	sequence     int         // of dumps
	iterators    [iteratorSlots]iterator
	digest       []byte // scratch
	sinceCollect int

	// before the operation under way
	beforeBuckets, beforeOld unsafe.Pointer
	beforeB                  uint8
}

// setType starts over with another type; events stay as they are.
func (m *machine) setType(key, elem valueType, hash string) {
	collectWhenDue()
	*m = machine{name: key.name + ":" + elem.name, hash: hash, key: key, elem: elem,
		t: mapTypeOf(key, elem, hash), keyRoom: key.room(), elemRoom: elem.room(),
		trace: fnvBasis, events: m.events, sequence: m.sequence, points: m.points}
	m.way = m.points.of(key, elem)
	pointers := 0
	if m.t.bucket.pointerBytes != 0 {
		pointers = 1
	}
	fmt.Fprintf(out, "type %s hash=%s keysize=%d elemsize=%d bucketsize=%d flags=%d bucketptrdata=%d\n",
		m.name, hash, m.t.keySize, m.t.elemSize, m.t.bucketSize, m.t.flags, pointers)
}

// begin and end enclose every call of the runtime that may draw.
func (m *machine) begin() {
	m.beforeBuckets, m.beforeOld, m.beforeB = nil, nil, 0
	if m.h != nil {
		m.beforeBuckets, m.beforeOld, m.beforeB = m.h.buckets, m.h.oldbuckets, m.h.B
	}
	*runtimeRandom = m.random
}

func (m *machine) end() {
	after := *runtimeRandom
	if n := draws(m.random, after); n > mostDraws {
		fail("the runtime drew %d numbers in one operation: something else drew too", n)
	}
	m.random = after
	if m.sinceCollect++; m.sinceCollect >= 1<<14 {
		m.sinceCollect = 0
		collectWhenDue()
	}
}

// record ends a map operation: its own bytes are in m.digest already.
func (m *machine) record() {
	h := m.h
	m.ops++
	d := m.digest
	d = binary.LittleEndian.AppendUint64(d, uint64(h.count))
	d = append(d, h.B, h.flags&flagSameSize)
	d = binary.LittleEndian.AppendUint16(d, h.noverflow)
	d = binary.LittleEndian.AppendUint64(d, uint64(h.nevacuate))
	d = append(d, oneIf(h.oldbuckets != nil))
	m.trace = fnv(m.trace, d)
	m.digest = d[:0]
	m.watchGrowth()
}

func (m *machine) watchGrowth() {
	h := m.h
	if h.buckets != m.beforeBuckets && m.beforeBuckets != nil {
		same := h.B == m.beforeB
		if same {
			m.same++
		} else {
			m.grows++
		}
		if m.events {
			fmt.Fprintf(out, "event op=%d start B=%d->%d same=%d count=%d noverflow=%d old=%d\n", m.ops,
				m.beforeB, h.B, oneIf(same), h.count, h.noverflow, oneIf(h.oldbuckets != nil))
		}
	} else if m.events && m.beforeOld != nil && h.oldbuckets == nil {
		fmt.Fprintf(out, "event op=%d done B=%d count=%d noverflow=%d\n", m.ops, h.B, h.count, h.noverflow)
	}
}

func oneIf(condition bool) uint8 {
	if condition {
		return 1
	}
	return 0
}

// make starts a new map; a negative hint stands for none.
func (m *machine) make(hint int, hinted bool) {
	collectWhenDue()
	m.iterators = [iteratorSlots]iterator{}
	m.h = nil
	m.begin()
	if hinted {
		m.h = makemap(m.t, hint, nil)
	} else {
		m.h = makemapSmall()
	}
	m.end()
}

// set stores what lies in keyRoom and elemRoom.
func (m *machine) set() {
	m.begin()
	m.assign()
	m.end()
	m.digest = append(m.digest, 'S')
	m.record()
}

func (m *machine) delete() {
	m.begin()
	m.remove()
	m.end()
	m.digest = append(m.digest, 'D')
	m.record()
}

// get returns where the elem lies; it stays there until the next operation.
func (m *machine) get() (unsafe.Pointer, bool) {
	m.begin()
	at, found := m.access()
	m.end()
	m.digest = append(m.digest, 'G', oneIf(found))
	if found {
		m.digest = m.elem.absorbed(m.digest, at)
	}
	m.record()
	return at, found
}

func (m *machine) clear() {
	m.begin()
	mapclear(m.t, m.h)
	m.end()
	m.digest = append(m.digest, 'C')
	m.record()
}

// entryOf reads the entry an iterator stands on.
func (m *machine) entryOf(it *hiter, into []byte) []byte {
	return m.elem.absorbed(m.key.absorbed(into[:0], it.key), it.elem)
}

// walk is a full iteration, one operation; each is called with every key.
func (m *machine) walk(each func(key unsafe.Pointer)) (entries, hash uint64, it *hiter) {
	it = new(hiter)
	hash = fnvBasis
	entry := make([]byte, 0, 64)
	m.begin()
	mapiterinit(m.t, m.h, it)
	for ; it.key != nil; mapiternext(it) {
		entries++
		entry = m.entryOf(it, entry)
		hash = fnv(hash, entry)
		if each != nil {
			each(it.key)
		}
	}
	m.end()
	m.digest = append(m.digest, 'I')
	m.digest = binary.LittleEndian.AppendUint64(m.digest, entries)
	m.digest = binary.LittleEndian.AppendUint64(m.digest, hash)
	m.record()
	return
}

// open positions slot i at the start of an iteration. It is not an operation.
func (m *machine) open(i uint64) {
	slot := &m.iterators[i]
	slot.state = new(hiter)
	m.begin()
	mapiterinit(m.t, m.h, slot.state)
	m.end()
	m.arrived(slot)
}

func (m *machine) arrived(slot *iterator) {
	slot.live = slot.state.key != nil
	if slot.live {
		slot.entry = m.entryOf(slot.state, slot.entry)
	}
}

// step takes up to n steps of slot i, one operation.
func (m *machine) step(i, n uint64) (done, hash uint64) {
	slot := &m.iterators[i]
	hash = fnvBasis
	m.begin()
	for ; done < n && slot.live; done++ {
		hash = fnv(hash, slot.entry)
		mapiternext(slot.state)
		m.arrived(slot)
	}
	m.end()
	m.digest = append(m.digest, 'N', uint8(i))
	m.digest = binary.LittleEndian.AppendUint64(m.digest, done)
	m.digest = binary.LittleEndian.AppendUint64(m.digest, hash)
	m.digest = append(m.digest, oneIf(slot.live))
	m.record()
	return
}
