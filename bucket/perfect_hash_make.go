package bucket

import "slices"

// newPerfectHash makes one for keys with these hashes, of 64 good bits each, and returns the place of
// each key in their order. It says false if two hashes are equal, or if the keys are so unlucky that
// a group finds no pilot: then other hashes of the same keys are needed. It takes some 20 bytes a key
// while it works. There must be no more than four billion keys.
func newPerfectHash(hashes []uint64) (h perfectHash, places []uint32, ok bool) {
	n := len(hashes)
	h = perfectHash{
		pilots: make([]uint8, n/keysPerGroup+1),
		keys:   uint64(n),
		room:   uint64(n)*100/keysPerHundredPlaces + 1,
	}
	m := &perfectHashing{perfectHash: h, hashes: hashes, taken: make([]uint64, h.room/64+1), places: make([]uint32, n)}
	m.divide()
	if !m.placeGroups() {
		return perfectHash{}, nil, false
	}
	m.fetchBack()
	return m.perfectHash, m.places, true
}

// perfectHashing is one that is being made.
type perfectHashing struct {
	perfectHash
	hashes  []uint64
	members []uint32 // the keys, group by group
	starts  []uint32 // of the groups in members; one more than there are groups
	taken   []uint64 // the places that are, a bit each
	places  []uint32 // of the keys

	group []uint64 // the hashes of the one that is being placed
	falls []uint64 // its places with the pilot that is tried
}

// divide puts the keys into their groups.
func (m *perfectHashing) divide() {
	groups := uint64(len(m.pilots))
	m.starts = make([]uint32, groups+1)
	for _, hash := range m.hashes {
		m.starts[reduce(hash, groups)+1]++
	}
	for g := range groups {
		m.starts[g+1] += m.starts[g]
	}
	m.members = make([]uint32, len(m.hashes))
	next := slices.Clone(m.starts)
	for key, hash := range m.hashes {
		at := &next[reduce(hash, groups)]
		m.members[*at] = uint32(key)
		*at++
	}
}

// placeGroups finds a pilot for each group, the large groups first: there is most room then.
func (m *perfectHashing) placeGroups() bool {
	for _, group := range slices.Backward(m.bySize()) {
		if !m.place(group) {
			return false
		}
	}
	return true
}

// bySize returns the groups that have keys, the small ones first.
func (m *perfectHashing) bySize() []uint32 {
	size := func(group int) uint32 { return m.starts[group+1] - m.starts[group] }
	var ends []uint32 // of the groups of each size, in the order
	for group := range m.pilots {
		for int(size(group)) >= len(ends) {
			ends = append(ends, 0)
		}
		ends[size(group)]++
	}
	empty := ends[0]
	ends[0] = 0
	at := uint32(0)
	for size, count := range ends {
		ends[size] = at // the beginning, for now
		at += count
	}
	sorted := make([]uint32, len(m.pilots)-int(empty))
	for group := range m.pilots {
		if size := size(group); size > 0 {
			sorted[ends[size]] = uint32(group)
			ends[size]++
		}
	}
	return sorted
}

// place finds a pilot for a group.
func (m *perfectHashing) place(group uint32) bool {
	members := m.members[m.starts[group]:m.starts[group+1]]
	m.group, m.falls = m.group[:0], m.falls[:0]
	for _, key := range members {
		m.group = append(m.group, m.hashes[key])
	}
	if hasTwice(m.group) {
		return false
	}
	for pilot := range uint64(maxPilot + 1) {
		if !m.try(pilot) {
			continue
		}
		m.setPilot(group, pilot)
		for i, key := range members {
			m.places[key] = uint32(m.falls[i])
		}
		return true
	}
	return false
}

func (m *perfectHashing) setPilot(group uint32, pilot uint64) {
	if pilot < farPilot {
		m.pilots[group] = uint8(pilot)
		return
	}
	m.pilots[group] = farPilot
	if m.far == nil {
		m.far = make(map[uint64]uint64)
	}
	m.far[uint64(group)] = pilot
}

// try takes the places on which the group falls with that pilot, if all of them are free.
func (m *perfectHashing) try(pilot uint64) bool {
	m.falls = m.falls[:0]
	for _, hash := range m.group {
		place := m.fall(hash, pilot)
		if m.isTaken(place) {
			for _, place := range m.falls {
				m.taken[place/64] &^= 1 << (place % 64)
			}
			return false
		}
		m.taken[place/64] |= 1 << (place % 64)
		m.falls = append(m.falls, place)
	}
	return true
}

func (m *perfectHashing) isTaken(place uint64) bool { return m.taken[place/64]>>(place%64)&1 == 1 }

// fetchBack gives the keys that have fallen behind the last place those that are left.
func (m *perfectHashing) fetchBack() {
	m.beyond = make([]uint32, m.room-m.keys)
	free := uint64(0)
	for key, place := range m.places {
		if uint64(place) < m.keys {
			continue
		}
		for m.isTaken(free) {
			free++
		}
		m.beyond[uint64(place)-m.keys] = uint32(free)
		m.places[key] = uint32(free)
		free++
	}
}

func hasTwice(hashes []uint64) bool {
	for i, hash := range hashes {
		if slices.Contains(hashes[:i], hash) {
			return true
		}
	}
	return false
}
