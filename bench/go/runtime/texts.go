// texts.go - the timed loops for map[string]uint64: sums in local variables, the map an
// argument, so that nothing but the map is measured.
package main

type textMap = map[string]uint64

func insertTexts(m textMap, keys []string) {
	for i, key := range keys {
		m[key] = uint64(i)
	}
}

func hitTexts(m textMap, keys []string) (sum uint64) {
	for _, key := range keys {
		sum += m[key]
	}
	return
}

func missTexts(m textMap, strangers []string) (found uint64) {
	for _, key := range strangers {
		if _, ok := m[key]; ok {
			found++
		}
	}
	return
}

func iterateTexts(m textMap) (sum uint64) {
	for key, value := range m {
		sum += uint64(len(key)) + value
	}
	return
}

func deleteTexts(m textMap, keys []string) {
	for _, key := range keys {
		delete(m, key)
	}
}

// passTexts is one repetition of all rows.
func passTexts(keys, mixed, strangers []string, rows []timer, sum *checksum) {
	var m, hinted textMap
	rows[rowInsert].run(func() uint64 {
		m = make(textMap)
		insertTexts(m, keys)
		return uint64(len(m))
	}, sum)
	rows[rowHint].run(func() uint64 {
		hinted = make(textMap, len(keys))
		insertTexts(hinted, keys)
		return uint64(len(hinted))
	}, sum)
	rows[rowHit].run(func() uint64 { return hitTexts(m, mixed) }, sum)
	rows[rowMiss].run(func() uint64 { return missTexts(m, strangers) }, sum)
	rows[rowIterate].run(func() uint64 { return iterateTexts(m) }, sum)
	rows[rowDelete].run(func() uint64 {
		deleteTexts(m, mixed)
		return uint64(len(m))
	}, sum)
}
