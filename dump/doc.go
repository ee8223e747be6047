// Package dump keeps a bucket while its process is down: one file a bucket, to
// which a write costs the record and not the table.
//
// It knows bytes, not buckets. So far it fixes only how keys and values become
// bytes and back, [Codec]; a bucket with a File refuses to start until the file
// itself is written.
package dump
