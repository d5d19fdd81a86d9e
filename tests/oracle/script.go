// script.go - the lines of a map script.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"
)

// script is a machine and where in its text it is.
type script struct {
	machine
	file string
	line int
}

func (s *script) wrong(format string, arguments ...any) {
	fail("%s:%d: %s", s.file, s.line, fmt.Sprintf(format, arguments...))
}

func runScript(name string) {
	input := io.Reader(os.Stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			fail("%v", err)
		}
		defer file.Close()
		input = file
	}
	s := &script{file: name}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		s.line++
		text := lines.Text()
		if at := strings.Index(text, "//"); at >= 0 {
			text = text[:at]
		}
		if words := strings.Fields(text); len(words) > 0 {
			s.do(strings.TrimSpace(text), words)
		}
	}
	if err := lines.Err(); err != nil {
		fail("%s: %v", name, err)
	}
}

// shapes tells how many words may follow an operation and whether it needs a map.
var shapes = map[string]struct {
	least, most int
	needsMap    bool
}{
	"type": {1, 2, false}, "rand": {1, 1, false}, "make": {0, 1, false}, "hint": {1, 1, false},
	"api": {1, 1, false}, "events": {1, 1, false}, "echo": {0, 1 << 30, false},
	"set": {2, 2, true}, "del": {1, 1, true}, "get": {1, 1, true},
	"setr": {2, 3, true}, "delr": {2, 2, true}, "getr": {2, 2, true},
	"sets": {3, 3, true}, "dels": {3, 3, true}, "clear": {0, 0, true},
	"iterate-count": {0, 0, true}, "iterate": {0, 0, true}, "keys": {0, 0, true},
	"iter": {1, 1, true}, "next": {2, 2, true}, "gen": {4, 5, true},
	"dump": {0, 1, true}, "hash": {0, 1, true}, "trace": {0, 0, true}, "stats": {0, 0, true},
}

func (s *script) do(text string, words []string) {
	shape, known := shapes[words[0]]
	if !known {
		s.wrong("there is no operation '%s'", words[0])
	}
	rest := words[1:]
	if len(rest) < shape.least || len(rest) > shape.most {
		s.wrong("'%s' takes %d to %d words, not %d", words[0], shape.least, shape.most, len(rest))
	}
	if words[0] != "type" && words[0] != "api" && words[0] != "events" && words[0] != "echo" && s.t == nil {
		s.wrong("'%s' needs a type first", words[0])
	}
	if shape.needsMap && s.h == nil {
		s.wrong("'%s' needs a map first: make", words[0])
	}
	switch words[0] {
	case "type":
		s.typeLine(rest)
	case "api":
		entry, ok := entryNames[rest[0]]
		if !ok {
			s.wrong("the entry points are generic, fast or reflect, not '%s'", rest[0])
		}
		s.points = entry
	case "rand":
		s.random = s.number(rest[0])
	case "make", "hint":
		if len(rest) == 1 {
			s.make(int(s.number(rest[0])), true)
		} else {
			s.make(0, false)
		}
		fmt.Fprintf(out, "make %s\n", s.header(false))
	case "events":
		if rest[0] != "on" && rest[0] != "off" {
			s.wrong("events are on or off, not '%s'", rest[0])
		}
		s.events = rest[0] == "on"
	case "echo":
		fmt.Fprintf(out, "%s\n", text)
	case "set":
		s.value(s.key, s.keyRoom, rest[0])
		s.value(s.elem, s.elemRoom, rest[1])
		s.set()
	case "del":
		s.value(s.key, s.keyRoom, rest[0])
		s.delete()
	case "get":
		s.value(s.key, s.keyRoom, rest[0])
		if at, found := s.get(); found {
			fmt.Fprintf(out, "get %s\n", s.elem.appendShown(nil, at))
		} else {
			fmt.Fprintln(out, "get absent")
		}
	case "setr", "delr", "getr", "sets", "dels":
		s.range_(words[0], rest)
	case "clear":
		s.clear()
	case "iterate-count":
		entries, _, _ := s.walk(nil)
		fmt.Fprintf(out, "iterate-count %d\n", entries)
	case "iterate":
		entries, hash, it := s.walk(nil)
		fmt.Fprintf(out, "iterate n=%d start=%d offset=%d fnv=%016x\n", entries, it.startBucket,
			it.offset, hash)
	case "keys":
		line := []byte("keys")
		s.walk(func(key unsafe.Pointer) { line = s.key.appendShown(append(line, ' '), key) })
		out.Write(append(line, '\n'))
	case "iter":
		slot := s.slot(rest[0])
		s.open(slot)
		it := s.iterators[slot]
		fmt.Fprintf(out, "iter %d start=%d offset=%d live=%d\n", slot, it.state.startBucket,
			it.state.offset, oneIf(it.live))
	case "next":
		slot := s.slot(rest[0])
		done, hash := s.step(slot, s.number(rest[1]))
		fmt.Fprintf(out, "next %d got=%d fnv=%016x live=%d\n", slot, done, hash,
			oneIf(s.iterators[slot].live))
	case "gen":
		s.generate(rest)
	case "dump":
		s.dump(s.rawWord(rest))
	case "hash":
		s.hashLine(s.rawWord(rest))
	case "trace":
		fmt.Fprintf(out, "trace %016x ops=%d\n", s.trace, s.ops)
	case "stats":
		s.stats()
	}
}

func (s *script) typeLine(words []string) {
	names := strings.SplitN(words[0], ":", 2)
	if len(names) != 2 {
		s.wrong("a type is KEY:ELEM, not '%s'", words[0])
	}
	key, keyKnown := parseType(names[0])
	elem, elemKnown := parseType(names[1])
	if !keyKnown || !elemKnown {
		s.wrong("'%s' names a type that is not u8 u16 u32 u64 f64 str bN s16 void", words[0])
	}
	hash := "fmix"
	if len(words) == 2 {
		hash = words[1]
	}
	if !hashNames[hash] {
		s.wrong("there is no hash '%s'", hash)
	}
	if hash == "id" && key.kind != kindInteger {
		s.wrong("the hash id needs an integer key, not %s", key.name)
	}
	s.setType(key, elem, hash)
}

func (s *script) number(word string) uint64 {
	n, ok := parseNumber(word)
	if !ok {
		s.wrong("'%s' is not a number of at most 64 bits", word)
	}
	return n
}

func (s *script) slot(word string) uint64 {
	n := s.number(word)
	if n >= iteratorSlots {
		s.wrong("iterator slots are 0 to %d, not %d", iteratorSlots-1, n)
	}
	return n
}

func (s *script) rawWord(words []string) bool {
	if len(words) == 1 && words[0] != "raw" {
		s.wrong("'%s' is not raw", words[0])
	}
	return len(words) == 1
}

func (s *script) value(v valueType, to unsafe.Pointer, word string) {
	if problem := v.token(to, word); problem != "" {
		s.wrong("'%s' %s, which %s needs", word, problem, v.name)
	}
}

func (s *script) range_(name string, words []string) {
	var n [3]uint64
	for i, word := range words {
		n[i] = s.number(word)
	}
	hits := 0
	each := func(k, e uint64) {
		s.key.number(s.keyRoom, k)
		switch name[0] {
		case 's':
			s.elem.number(s.elemRoom, e)
			s.set()
		case 'd':
			s.delete()
		case 'g':
			if _, found := s.get(); found {
				hits++
			}
		}
	}
	if name == "sets" || name == "dels" {
		for j := uint64(0); j < n[2]; j++ {
			k := n[0] + j*n[1]
			each(k, k)
		}
		return
	}
	for i := n[0]; i < n[1]; i++ {
		each(i, i+n[2])
	}
	if name == "getr" {
		fmt.Fprintf(out, "getr %d %d hits=%d\n", n[0], n[1], hits)
	}
}

// profiles are cumulative thresholds of a thousand: set, del, get, next, clear.
var profiles = map[string][5]uint64{
	"grow":  {1000, 1000, 1000, 1000, 1000},
	"mixed": {500, 750, 1000, 1000, 1000},
	"churn": {500, 1000, 1000, 1000, 1000},
	"drain": {100, 1000, 1000, 1000, 1000},
	"read":  {10, 20, 1000, 1000, 1000},
	"iter":  {400, 600, 700, 1000, 1000},
	"clear": {600, 800, 998, 998, 1000},
	"all":   {450, 699, 799, 999, 1000},
}

func (s *script) generate(words []string) {
	limits, known := profiles[words[0]]
	if !known && words[0] != "fifo" {
		s.wrong("there is no profile '%s'", words[0])
	}
	seed, ops, space := s.number(words[1]), s.number(words[2]), s.number(words[3])
	every := uint64(0)
	if len(words) == 5 {
		every = s.number(words[4])
	}
	source := splitmix(seed)
	for i := uint64(0); i < ops; i++ {
		r1, r2 := source.next(), source.next()
		if words[0] == "fifo" {
			s.window(seed, i, space, r1, r2)
		} else {
			s.generated(limits, space, r1, r2)
		}
		if every != 0 && (i+1)%every == 0 {
			fmt.Fprintf(out, "ckpt %d %s trace=%016x dump=%016x\n", i+1, s.header(false), s.trace,
				s.dumpHash(false))
		}
	}
	fmt.Fprintf(out, "gen %s %s trace=%016x\n", strings.Join(words, " "), s.header(false), s.trace)
}

func (s *script) generated(limits [5]uint64, space, r1, r2 uint64) {
	p, k := r1%1000, r2
	if space != 0 {
		k = r2 % space
	}
	s.key.number(s.keyRoom, k)
	switch {
	case p < limits[0]:
		s.elem.number(s.elemRoom, r1)
		s.set()
	case p < limits[1]:
		s.delete()
	case p < limits[2]:
		s.get()
	case p < limits[3]:
		slot := r2 & 3
		if !s.iterators[slot].live {
			s.open(slot)
		}
		s.step(slot, 1+r1>>32&15)
	default:
		s.clear()
	}
}

// window is the profile fifo: fresh keys in front, the oldest deleted behind.
func (s *script) window(seed, i, space, r1, r2 uint64) {
	base, j := seed&0xffff<<40, i/2
	switch {
	case i%2 == 0:
		s.key.number(s.keyRoom, base+j)
		s.elem.number(s.elemRoom, r1)
		s.set()
	case j >= space:
		s.key.number(s.keyRoom, base+j-space)
		s.delete()
	default:
		s.key.number(s.keyRoom, base+r2%(j+1))
		s.get()
	}
}
