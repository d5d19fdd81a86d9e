// types.go - the types a script can name, the canonical bytes of their values, and
// the hash functions planted into a copied map type.
//
// reflect.MapOf makes the map type. Its record may lie in read-only memory and is
// shared, so it is copied, and the copy's hasher, an ordinary func value, replaced.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// rtype and mapType mirror the runtime's type records of go1.19.
type rtype struct {
	size, pointerBytes             uintptr
	hash                           uint32
	flags, align, fieldAlign, kind uint8
	equal                          func(unsafe.Pointer, unsafe.Pointer) bool
	pointerMask                    *byte
	name, pointerToThis            int32
}

type mapType struct {
	typ               rtype
	key, elem, bucket *rtype
	hasher            func(unsafe.Pointer, uintptr) uintptr
	keySize, elemSize uint8 // of the cells: 8 where the value is stored indirectly
	bucketSize        uint16
	flags             uint32
}

const (
	indirectKey  = 1
	indirectElem = 2
)

type kind int

const (
	kindInteger kind = iota
	kindFloat
	kindString
	kindBytes // bN, s16 and void: compared and shown as memory
)

// valueType is one of the names of a script.
type valueType struct {
	name string
	kind kind
	size uintptr
	goes reflect.Type
}

const largestArray = 1 << 20

type pair struct{ A, B uint64 }

func parseType(name string) (valueType, bool) {
	simple := map[string]valueType{
		"u8":   {name, kindInteger, 1, reflect.TypeOf(uint8(0))},
		"u16":  {name, kindInteger, 2, reflect.TypeOf(uint16(0))},
		"u32":  {name, kindInteger, 4, reflect.TypeOf(uint32(0))},
		"u64":  {name, kindInteger, 8, reflect.TypeOf(uint64(0))},
		"f64":  {name, kindFloat, 8, reflect.TypeOf(float64(0))},
		"str":  {name, kindString, 16, reflect.TypeOf("")},
		"s16":  {name, kindBytes, 16, reflect.TypeOf(pair{})},
		"void": {name, kindBytes, 0, reflect.TypeOf(struct{}{})},
	}
	if found, ok := simple[name]; ok {
		return found, true
	}
	if strings.HasPrefix(name, "b") {
		if n, err := strconv.ParseUint(name[1:], 10, 21); err == nil && n <= largestArray {
			bytes := reflect.ArrayOf(int(n), reflect.TypeOf(uint8(0)))
			return valueType{name, kindBytes, uintptr(n), bytes}, true
		}
	}
	return valueType{}, false
}

// room returns memory for one value that the collector knows.
func (v valueType) room() unsafe.Pointer { return reflect.New(v.goes).UnsafePointer() }

// memory is the value's own bytes; for strings use canonical.
func (v valueType) memory(at unsafe.Pointer) []byte {
	return unsafe.Slice((*byte)(at), v.size)
}

// canonical is what is hashed, shown and compared.
func (v valueType) canonical(at unsafe.Pointer) []byte {
	if v.kind == kindString {
		text := *(*string)(at)
		return unsafe.Slice(stringData(text), len(text))
	}
	return v.memory(at)
}

func stringData(text string) *byte { return *(**byte)(unsafe.Pointer(&text)) }

// absorbed appends the form that traces and iterations digest.
func (v valueType) absorbed(to []byte, at unsafe.Pointer) []byte {
	bytes := v.canonical(at)
	if v.kind == kindString {
		to = binary.LittleEndian.AppendUint64(to, uint64(len(bytes)))
	}
	return append(to, bytes...)
}

func (v valueType) setBytes(to unsafe.Pointer, bytes []byte) {
	if v.kind == kindString {
		*(*string)(to) = string(bytes)
		return
	}
	copy(v.memory(to), bytes)
}

const nanBits = 0x7ff8000000000001

// number stores #n.
func (v valueType) number(to unsafe.Pointer, n uint64) {
	var eight [8]byte
	switch v.kind {
	case kindInteger:
		binary.LittleEndian.PutUint64(eight[:], n)
		copy(v.memory(to), eight[:])
	case kindFloat:
		*(*uint64)(to) = floatBits(n)
	case kindString:
		source := splitmix(n)
		text := make([]byte, 8+source.next()%25)
		source.fill(text)
		v.setBytes(to, text)
	case kindBytes:
		source := splitmix(n)
		source.fill(v.memory(to))
	}
}

func floatBits(n uint64) uint64 {
	if n&63 == 63 {
		return nanBits
	}
	value := math.Float64bits(float64((n >> 1) & (1<<52 - 1)))
	return value | n<<63
}

// parseNumber reads a decimal or 0x number of at most 64 bits.
func parseNumber(word string) (uint64, bool) {
	base := 10
	if strings.HasPrefix(word, "0x") || strings.HasPrefix(word, "0X") {
		word, base = word[2:], 16
	}
	n, err := strconv.ParseUint(word, base, 64)
	return n, err == nil
}

// token stores the value a script spells; an empty answer says it was understood.
func (v valueType) token(to unsafe.Pointer, word string) string {
	if strings.HasPrefix(word, "#") {
		n, ok := parseNumber(word[1:])
		if !ok {
			return "is not # and a number"
		}
		v.number(to, n)
		return ""
	}
	switch v.kind {
	case kindInteger:
		n, ok := parseNumber(word)
		if !ok || v.size < 8 && n>>(8*v.size) != 0 {
			return "is not a number of its size"
		}
		v.number(to, n)
	case kindFloat:
		value, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return "is not a float"
		}
		if math.IsNaN(value) {
			*(*uint64)(to) = nanBits
		} else {
			*(*float64)(to) = value
		}
	default:
		var bytes []byte
		if word != "-" {
			var err error
			if bytes, err = hex.DecodeString(word); err != nil {
				return "is not hexadecimal"
			}
		}
		if v.kind == kindBytes && uintptr(len(bytes)) != v.size {
			return "has not " + strconv.Itoa(int(v.size)) + " bytes"
		}
		v.setBytes(to, bytes)
	}
	return ""
}

// splitmix is the generator of scripts.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *splitmix) fill(bytes []byte) {
	var eight [8]byte
	for len(bytes) > 0 {
		binary.LittleEndian.PutUint64(eight[:], s.next())
		bytes = bytes[copy(bytes, eight[:]):]
	}
}

const fnvBasis = 0xcbf29ce484222325

func fnv(h uint64, bytes []byte) uint64 {
	for _, b := range bytes {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return h
}

func fmix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

var hashNames = map[string]bool{"fmix": true, "seeded": true, "weak": true, "zero": true, "id": true}

// hasherOf makes the function that is planted. It runs inside the runtime's map
// functions: it allocates nothing and draws only where Go's own float hash would.
func hasherOf(name string, key valueType) func(unsafe.Pointer, uintptr) uintptr {
	switch name {
	case "zero":
		return func(unsafe.Pointer, uintptr) uintptr { return 0 }
	case "id":
		return func(at unsafe.Pointer, _ uintptr) uintptr {
			var n uintptr
			for i := uintptr(0); i < key.size; i++ {
				n |= uintptr(*(*byte)(unsafe.Add(at, i))) << (8 * i)
			}
			return n
		}
	}
	mask := ^uint64(0)
	if name == "weak" {
		mask = 0xe00000000000000f
	}
	seeded := name == "seeded"
	return func(at unsafe.Pointer, hash0 uintptr) uintptr {
		start := uint64(fnvBasis)
		if seeded {
			start ^= uint64(hash0)
		}
		if key.kind == kindFloat {
			value := *(*float64)(at)
			bits := math.Float64bits(value)
			if value == 0 {
				bits = 0
			}
			if value != value {
				bits = nanBits
			}
			for i := 0; i < 8; i++ {
				start = (start ^ bits>>(8*i)&0xff) * 0x100000001b3
			}
			if value != value {
				start ^= uint64(fastrand())
			}
			return uintptr(fmix(start) & mask)
		}
		return uintptr(fmix(fnv(start, key.canonical(at))) & mask)
	}
}

// mapTypeOf copies reflect's map type and plants the hash.
func mapTypeOf(key, elem valueType, hash string) *mapType {
	made := reflect.MapOf(key.goes, elem.goes)
	original := (*[2]*mapType)(unsafe.Pointer(&made))[1]
	copied := new(mapType)
	*copied = *original
	copied.hasher = hasherOf(hash, key)
	return copied
}
