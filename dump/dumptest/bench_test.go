package dumptest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump/dumptest"
)

const benchSize = 20_000

// What a test pays to look into one file on a new disk.
func BenchmarkDisk_new(b *testing.B) {
	data, into := make([]byte, benchSize), make([]byte, benchSize)
	b.ReportAllocs()
	for b.Loop() {
		disk := dumptest.NewDisk(1)
		require.NoError(b, disk.WriteFile("/a", data, 0o600))
		read(b, disk, into)
	}
}

// What it pays for one more on the same disk, with one bit changed.
func BenchmarkDisk_clone_and_flip(b *testing.B) {
	disk, into := benchDisk(b), make([]byte, benchSize)
	b.ReportAllocs()
	for bit := int64(0); b.Loop(); bit++ {
		clone := disk.Clone()
		require.NoError(b, clone.FlipBit("/a", bit%(8*benchSize)))
		read(b, clone, into)
	}
}

func BenchmarkOpen_and_read(b *testing.B) {
	disk, into := benchDisk(b), make([]byte, benchSize)
	b.ReportAllocs()
	for b.Loop() {
		read(b, disk, into)
	}
}

func BenchmarkClone(b *testing.B) {
	disk := benchDisk(b)
	b.ReportAllocs()
	for b.Loop() {
		disk.Clone()
	}
}

// A power cut of a disk with a file of 40 sectors, ten of them unsynced.
func BenchmarkCrash(b *testing.B) {
	disk := benchDisk(b)
	file, err := disk.Open("/a", true)
	require.NoError(b, err)
	_, err = file.WriteAt(make([]byte, 10*512), 0)
	require.NoError(b, err)
	b.ReportAllocs()
	for seed := uint64(0); b.Loop(); seed++ {
		disk.Crash(dumptest.Some(seed))
	}
}

// An append of 100 bytes, and what a Sync after each adds.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		name := "sync=no"
		if sync {
			name = "sync=yes"
		}
		b.Run(name, func(b *testing.B) {
			disk := benchDisk(b)
			file, err := disk.Open("/a", true)
			require.NoError(b, err)
			data := make([]byte, 100)
			b.ReportAllocs()
			for at := int64(0); b.Loop(); at += 100 {
				_, err := file.WriteAt(data, benchSize+at%1_000_000)
				require.NoError(b, err)
				if sync {
					require.NoError(b, file.Sync())
				}
			}
		})
	}
}

func benchDisk(b *testing.B) *dumptest.Disk {
	disk := dumptest.NewDisk(1)
	require.NoError(b, disk.WriteFile("/a", make([]byte, benchSize), 0o600))
	return disk
}

func read(b *testing.B, disk *dumptest.Disk, into []byte) {
	file, err := disk.Open("/a", false)
	require.NoError(b, err)
	_, err = file.ReadAt(into, 0)
	require.NoError(b, err)
	require.NoError(b, file.Close())
}
