package dump_test

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// image is a [dump.FS] with one file, that costs next to nothing: for those who open a file a
// hundred thousand times. The bytes that it begins with are not changed, and nothing takes their
// place.
type image struct {
	mu     sync.Mutex
	name   string
	bytes  []byte
	owned  bool // bytes may be changed
	others map[string]*image
}

func newImage(bytes []byte) *image { return &image{name: "/d/file", bytes: bytes} }

func (i *image) Resolve(path string) (string, error)         { return path, nil }
func (i *image) List(string) ([]string, error)               { return nil, nil }
func (i *image) SyncDir(string) error                        { return nil }
func (i *image) Free(string) (int64, error)                  { return math.MaxInt64, nil }
func (i *image) Lock(string) (io.Closer, error)              { return io.NopCloser(nil), nil }
func (i *image) Open(path string, _ bool) (dump.File, error) { return imageFile{i.at(path)}, nil }

func (i *image) at(path string) *image {
	if path == i.name {
		return i
	}
	return i.others[path]
}

func (i *image) Lstat(path string) (fs.FileInfo, error) {
	if i.at(path) == nil {
		return nil, fs.ErrNotExist
	}
	return imageFile{i.at(path)}.Stat()
}

func (i *image) Create(path string, _ fs.FileMode) (dump.File, error) {
	if i.others == nil {
		i.others = map[string]*image{}
	}
	made := &image{name: path, owned: true}
	i.others[path] = made
	return imageFile{made}, nil
}

func (i *image) Rename(string, string) error { return errors.ErrUnsupported }
func (i *image) Link(string, string) error   { return errors.ErrUnsupported }

func (i *image) Remove(path string) error {
	delete(i.others, path)
	return nil
}

// imageFile is an open file of an image.
type imageFile struct{ *image }

func (f imageFile) Close() error              { return nil }
func (f imageFile) Sync() error               { return nil }
func (f imageFile) Lock() error               { return nil }
func (f imageFile) IsAt(string) (bool, error) { return true, nil }

func (f imageFile) Stat() (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return imageInfo{f.name, int64(len(f.bytes))}, nil
}

func (f imageFile) ReadAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if offset >= int64(len(f.bytes)) {
		return 0, io.EOF
	}
	n := copy(b, f.bytes[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f imageFile) WriteAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own()
	if end := int(offset) + len(b); end > len(f.bytes) {
		f.bytes = append(f.bytes, make([]byte, end-len(f.bytes))...)
	}
	return copy(f.bytes[offset:], b), nil
}

func (f imageFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own()
	f.bytes = slices.Grow(f.bytes, max(0, int(size)-len(f.bytes)))[:size]
	return nil
}

func (i *image) own() {
	if !i.owned {
		i.bytes, i.owned = slices.Clone(i.bytes), true
	}
}

type imageInfo struct {
	name string
	size int64
}

func (i imageInfo) Name() string       { return i.name }
func (i imageInfo) Size() int64        { return i.size }
func (i imageInfo) Mode() fs.FileMode  { return 0o600 }
func (i imageInfo) ModTime() time.Time { return time.Time{} }
func (i imageInfo) IsDir() bool        { return false }
func (i imageInfo) Sys() any           { return nil }
