package dumptest_test

import (
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// replace writes a file anew and puts it in the place of the old one. It forgets
// something.
func replace(files dump.FS, path, data string) error {
	file, err := files.Create(path+".tmp", 0o600)
	if err != nil {
		return err
	}
	if _, err := file.WriteAt([]byte(data), 0); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return files.Rename(path+".tmp", path)
}

// A power cut shows what was not synced.
func ExampleDisk_Crash() {
	disk := dumptest.NewDisk(1)
	_ = disk.WriteFile("/a", []byte("old"), 0o600)
	_ = replace(disk, "/a", "new")

	found := make(map[string]int)
	for seed := range uint64(1000) {
		data, _ := disk.Crash(dumptest.Some(seed)).ReadFile("/a")
		found[string(data)]++
	}
	for _, data := range slices.Sorted(maps.Keys(found)) {
		fmt.Printf("%q\n", data)
	}
	// Output:
	// ""
	// "\x00\x00\x00"
	// "new"
	// "old"
}

// Each of its calls fails once.
func ExampleFailNth() {
	for n := 1; ; n++ {
		disk := dumptest.NewDisk(1)
		disk.Inject(dumptest.FailNth(n, syscall.EIO, dumptest.Any))
		if err := replace(disk, "/a", "new"); err == nil {
			break
		}
		fmt.Println(n, disk.Names("/"))
	}
	// Output:
	// 1 []
	// 2 [a.tmp]
	// 3 [a.tmp]
	// 4 [a.tmp]
}
