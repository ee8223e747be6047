// Package dumptest is a disk made of memory that fails, fills up and forgets, for
// tests of what keeps files through package dump.
//
// A [Disk] is a [dump.FS]. What is written to it is seen at once by whoever reads,
// and is lost by a power cut unless it was synced:
//
//	disk := dumptest.NewDisk(1)
//	… a program writes to disk …
//	after := disk.Crash(dumptest.Some(7)) // the same disk after a power cut
//	after = disk.Clone()                  // the same disk after kill -9
//
// The disk itself goes on as if nothing had happened, so that one run can be cut
// short at each of its calls.
//
// # What a power cut leaves
//
// Of a file, sectors of 512 bytes, each whole or not at all. A sector that was
// written since the last Sync of the file holds what it held at that Sync, or what
// it holds now, or something it held in between. Which one, each sector decides
// alone.
//
// The size of a file is one of those it has had since the last Sync, and knows
// nothing of the sectors: what is inside the size and never arrived reads as zeros,
// what arrived and is outside is gone. A truncation that arrived took with it what
// was beyond: only what was written after it can be there again.
//
// Of a directory, what it was at its last SyncDir, and of the creations, renames and
// removals since then the first few, in order. Each is done or not done: after a
// rename the file is under the old name or under the new one. Directories do not
// wait for each other, nor for files: the Sync of a file does not keep its name, and
// a name may be kept of a file that is still empty.
//
// # What a failed Sync leaves
//
// The sectors that were to be saved count as saved, and are not: reads see them,
// later Syncs pass them over, and after a power cut they are what they were before.
// A sector written again is saved again. The size stays to be saved. The same goes
// for a Close that fails. A SyncDir that fails leaves all as it was.
//
// # What is not modelled
//
// Owners, umask and access times; sectors torn inside; caches that are evicted after
// a failed Sync; sparse files, which here take the room of their size. A directory
// made by [Disk.MkdirAll] is kept at once, and a file cannot be renamed into another
// one.
package dumptest
