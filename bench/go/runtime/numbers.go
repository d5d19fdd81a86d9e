// numbers.go - the timed loops for map[uint64]uint64: sums in local variables, the map an
// argument, so that nothing but the map is measured.
package main

type numberMap = map[uint64]uint64

func insertNumbers(m numberMap, keys []uint64) {
	for i, key := range keys {
		m[key] = uint64(i)
	}
}

func hitNumbers(m numberMap, keys []uint64) (sum uint64) {
	for _, key := range keys {
		sum += m[key]
	}
	return
}

func missNumbers(m numberMap, strangers []uint64) (found uint64) {
	for _, key := range strangers {
		if _, ok := m[key]; ok {
			found++
		}
	}
	return
}

func iterateNumbers(m numberMap) (sum uint64) {
	for key, value := range m {
		sum += key + value
	}
	return
}

func deleteNumbers(m numberMap, keys []uint64) {
	for _, key := range keys {
		delete(m, key)
	}
}

// passNumbers is one repetition of all rows.
func passNumbers(keys, mixed, strangers []uint64, rows []timer, sum *checksum) {
	var m, hinted numberMap
	rows[rowInsert].run(func() uint64 {
		m = make(numberMap)
		insertNumbers(m, keys)
		return uint64(len(m))
	}, sum)
	rows[rowHint].run(func() uint64 {
		hinted = make(numberMap, len(keys))
		insertNumbers(hinted, keys)
		return uint64(len(hinted))
	}, sum)
	rows[rowHit].run(func() uint64 { return hitNumbers(m, mixed) }, sum)
	rows[rowMiss].run(func() uint64 { return missNumbers(m, strangers) }, sum)
	rows[rowIterate].run(func() uint64 { return iterateNumbers(m) }, sum)
	rows[rowDelete].run(func() uint64 {
		deleteNumbers(m, mixed)
		return uint64(len(m))
	}, sum)
}
