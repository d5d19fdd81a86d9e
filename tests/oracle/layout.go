// layout.go - a map as it lies in memory, read without the runtime's help.
//
//	hmap -> buckets      2^B regular buckets, then preallocated overflow buckets
//	     -> oldbuckets   the previous array, while growing
//	     -> extra        next free preallocated bucket; what keeps overflow buckets alive
//
//	bucket: 8 tophash bytes | 8 key cells | 8 elem cells | pointer to the next bucket
package main

import "unsafe"

// hmap, mapExtra and hiter mirror go1.19.
type hmap struct {
	count      int
	flags, B   uint8
	noverflow  uint16
	hash0      uint32
	buckets    unsafe.Pointer
	oldbuckets unsafe.Pointer
	nevacuate  uintptr
	extra      *mapExtra
}

type mapExtra struct {
	overflow, oldoverflow *[]unsafe.Pointer
	nextOverflow          unsafe.Pointer
}

type hiter struct {
	key, elem             unsafe.Pointer
	t                     *mapType
	h                     *hmap
	buckets, bucket       unsafe.Pointer
	overflow, oldoverflow *[]unsafe.Pointer
	startBucket           uintptr
	offset                uint8
	wrapped               bool
	B, cell               uint8
	bucketNumber          uintptr
	checkBucket           uintptr
}

const (
	flagSameSize   = 8
	topEvacuatedX  = 2
	topEvacuatedNo = 4 // the bucket was empty
	topLowestLive  = 5
)

// array is one of a map's two bucket arrays.
type array struct {
	base       unsafe.Pointer
	t          *mapType
	regular    uintptr // 2^B
	all        uintptr // with the preallocated ones
	bucketSize uintptr
}

func arrayOf(t *mapType, base unsafe.Pointer, B uint8) array {
	a := array{base, t, 1 << B, 1 << B, uintptr(t.bucketSize)}
	if B >= 4 {
		wanted := a.bucketSize * (a.regular + a.regular>>4)
		a.all = a.regular + a.regular>>4
		if rounded := roundupsize(wanted); rounded != wanted {
			a.all = rounded / a.bucketSize
		}
	}
	return a
}

func currentArray(t *mapType, h *hmap) array { return arrayOf(t, h.buckets, h.B) }

func oldArray(t *mapType, h *hmap) array {
	B := h.B
	if h.flags&flagSameSize == 0 {
		B--
	}
	return arrayOf(t, h.oldbuckets, B)
}

func (a array) bytes() uintptr { return roundupsize(a.all * a.bucketSize) }

func (a array) bucket(i uintptr) bucket { return bucket{unsafe.Add(a.base, i*a.bucketSize), a.t} }

// preallocated answers which of the array's overflow buckets `at` is.
func (a array) preallocated(at unsafe.Pointer) (uintptr, bool) {
	distance := uintptr(at) - uintptr(a.base)
	if distance >= a.all*a.bucketSize || distance < a.regular*a.bucketSize {
		return 0, false
	}
	return distance/a.bucketSize - a.regular, true
}

type bucket struct {
	at unsafe.Pointer
	t  *mapType
}

func (b bucket) top() *[8]uint8 { return (*[8]uint8)(b.at) }

func (b bucket) next() bucket {
	end := unsafe.Add(b.at, uintptr(b.t.bucketSize)-8)
	return bucket{*(*unsafe.Pointer)(end), b.t}
}

func (b bucket) evacuated() bool {
	first := b.top()[0]
	return first >= topEvacuatedX && first <= topEvacuatedNo
}

// key and elem point at the value, nil for an indirect cell without one.
func (b bucket) key(i uintptr) unsafe.Pointer {
	cell := unsafe.Add(b.at, 8+i*uintptr(b.t.keySize))
	if b.t.flags&indirectKey != 0 {
		return *(*unsafe.Pointer)(cell)
	}
	return cell
}

func (b bucket) elem(i uintptr) unsafe.Pointer {
	cell := unsafe.Add(b.at, 8+8*uintptr(b.t.keySize)+i*uintptr(b.t.elemSize))
	if b.t.flags&indirectElem != 0 {
		return *(*unsafe.Pointer)(cell)
	}
	return cell
}
