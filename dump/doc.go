// Package dump keeps a set of key/value data in a file, so that it is there again after a
// stop, a crash or a power cut. A bucket with a File uses it; it can be used alone.
//
// The file is a snapshot, and behind it what was written since:
//
//	header │ slots │ snapshot, snapshot, ... end │ batch, batch, batch, ...
//
// A write appends one batch: it costs the record, and not the table. When the batches have
// outgrown the snapshot, or whenever its owner likes, a new file is written beside the old
// one and takes its place in one step ([Dump.Rewrite]); the old one takes writes meanwhile.
//
//	owner ──Write──▶ batch at the end ──(sync, by policy)──▶ acknowledged
//	owner ──Rewrite──▶ new file: snapshot, the batches since, sync, rename, sync the directory
//
// # What can be relied upon
//
// What was acknowledged is there: after a kill at any moment, and after a power cut as
// [SyncPolicy] says. What is there is right: every byte is under a checksum, a file of
// somebody else is not taken for one's own, and one that was cut short is told from one
// whose last write a crash tore. A file is opened as it is or refused with an [*Error] that
// says what, where and why; it is never half believed. A value that would not come back as
// it was is refused when it is written ([ErrEncode]), and a type whose values would not, when
// the file is opened ([ErrType]).
//
// When the disk fails, the dump does not guess. What could not be written is an error of the
// write; after a failed sync nothing is written any more ([ErrBroken]) until a whole new file
// has been made of what the owner has in memory.
//
// FORMAT.md beside this file describes every byte. The command dwdump looks inside. Package
// dumptest is a disk that fails on purpose.
//
// # Where it comes from
//
// The new file beside the old one, and the sync of its directory, are what every careful
// database does; Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), show
// what happens to those that do not. That a sync which failed must not be tried again is
// from Rebello et al., "Can Applications Recover from fsync Failures?" (ATC 2020). The
// promise in each frame of how far the file is synced is Pebble's; the two slots that take
// turns are those of bbolt's meta pages.
package dump
