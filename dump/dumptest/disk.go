package dumptest

// Disk is a [dump.FS] in memory, with an empty root directory at first. Its own
// methods, other than those of [Injected], are another hand's: they ask for no
// permission, are not counted, never fail by injection, and what they change is on
// the platter at once, with whatever else was not synced of that file or directory.
//
// All methods may be called by many goroutines.
type Disk struct {
	Injected
	volume *volume
}

// NewDisk returns an empty disk without a bound to its capacity. What power cuts
// leave of it depends on seed.
func NewDisk(seed uint64) *Disk {
	return diskOf(newVolume(seed))
}

func diskOf(v *volume) *Disk {
	d := &Disk{volume: v}
	d.inner = v
	return d
}

// Clone returns the disk as the next process finds it after kill -9: all that was
// written is there, also what was not synced. Nothing is open, locked, counted or
// injected.
func (d *Disk) Clone() *Disk {
	return diskOf(d.volume.clone())
}

// Crash returns the disk as it is after a power cut, with nothing open, locked,
// counted or injected.
func (d *Disk) Crash(keep Keep) *Disk {
	return diskOf(d.volume.crash(keep))
}

// SetCapacity bounds the sizes of all files together. Writes beyond it are done in
// part and end in ENOSPC. There is no bound if it is negative. A capacity below what
// is used takes nothing away.
func (d *Disk) SetCapacity(bytes int64) {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	d.volume.capacity = bytes
}

// SetReadOnly mounts the disk read-only, or writable again. What is open stays open,
// and cannot be written either.
func (d *Disk) SetReadOnly(readOnly bool) {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	d.volume.readOnly = readOnly
}
