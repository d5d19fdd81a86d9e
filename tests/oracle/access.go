// access.go - the ways into a map: the runtime's generic functions, those that the
// compiler calls for 4-byte, 8-byte and string keys, and reflect.
//
// All leave the same bytes, with one exception: deleting a string key by its own
// function clears the pointer and leaves the length. reflect uses that function too.
package main

import (
	"reflect"
	"unsafe"
)

type entryPoints int

const (
	entryGeneric entryPoints = iota
	entryFast
	entryReflect
)

var entryNames = map[string]entryPoints{"generic": entryGeneric, "fast": entryFast, "reflect": entryReflect}

type access int

const (
	byPointer access = iota
	by32
	by64
	byString
	byReflection
)

const largestInline = 128

// of chooses as the compiler does.
func (e entryPoints) of(key, elem valueType) access {
	switch {
	case e == entryReflect:
		return byReflection
	case e == entryGeneric || elem.size > largestInline:
		return byPointer
	case key.kind == kindInteger && key.size == 4:
		return by32
	case key.kind == kindInteger && key.size == 8:
		return by64
	case key.kind == kindString:
		return byString
	}
	return byPointer
}

// reflected makes the map a reflect.Value with the copied type.
func (m *machine) reflected() (whole, key reflect.Value) {
	var value any
	words := (*[2]unsafe.Pointer)(unsafe.Pointer(&value))
	words[0], words[1] = unsafe.Pointer(m.t), unsafe.Pointer(m.h)
	return reflect.ValueOf(value), reflect.NewAt(m.key.goes, m.keyRoom).Elem()
}

// assign stores elemRoom under keyRoom.
func (m *machine) assign() {
	var at unsafe.Pointer
	switch m.way {
	case byReflection:
		whole, key := m.reflected()
		whole.SetMapIndex(key, reflect.NewAt(m.elem.goes, m.elemRoom).Elem())
		return
	case by32:
		at = mapassignFast32(m.t, m.h, *(*uint32)(m.keyRoom))
	case by64:
		at = mapassignFast64(m.t, m.h, *(*uint64)(m.keyRoom))
	case byString:
		at = mapassignFaststr(m.t, m.h, *(*string)(m.keyRoom))
	default:
		at = mapassign(m.t, m.h, m.keyRoom)
	}
	typedmemmove(m.t.elem, at, m.elemRoom)
}

func (m *machine) remove() {
	switch m.way {
	case byReflection:
		whole, key := m.reflected()
		whole.SetMapIndex(key, reflect.Value{})
	case by32:
		mapdeleteFast32(m.t, m.h, *(*uint32)(m.keyRoom))
	case by64:
		mapdeleteFast64(m.t, m.h, *(*uint64)(m.keyRoom))
	case byString:
		mapdeleteFaststr(m.t, m.h, *(*string)(m.keyRoom))
	default:
		mapdelete(m.t, m.h, m.keyRoom)
	}
}

func (m *machine) access() (unsafe.Pointer, bool) {
	switch m.way {
	case byReflection:
		whole, key := m.reflected()
		elem := whole.MapIndex(key)
		if !elem.IsValid() {
			return nil, false
		}
		room := reflect.New(m.elem.goes)
		room.Elem().Set(elem)
		return room.UnsafePointer(), true
	case by32:
		return mapaccess2Fast32(m.t, m.h, *(*uint32)(m.keyRoom))
	case by64:
		return mapaccess2Fast64(m.t, m.h, *(*uint64)(m.keyRoom))
	case byString:
		return mapaccess2Faststr(m.t, m.h, *(*string)(m.keyRoom))
	}
	return mapaccess2(m.t, m.h, m.keyRoom)
}
