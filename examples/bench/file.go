package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// files measures a start without a file, which writes one, and a start from that file.
func files(ctx context.Context, r *race) ([]*table, error) {
	cold := &table{
		name: "file-cold", title: "start with " + amount(r.entries) + " entries and no file: seed, and write the file",
		unit: "ns an entry", base: dataWorker,
		notes: []string{"otter: fill it, and SaveCacheToFile."},
	}
	warm := &table{
		name: "file-warm", title: "start from the file, with " + amount(r.entries) + " entries",
		unit: "ns an entry", base: dataWorker,
		notes: []string{"otter: LoadCacheFromFile."},
	}
	directory, err := os.MkdirTemp("", "dataworker-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(directory) }() // what stays is a temporary file

	keys := hexKeys(0, r.entries)
	turns := []turn{
		{dataWorker, func(ctx context.Context, round int) ([]float64, error) {
			return startTwice(ctx, filepath.Join(directory, fmt.Sprint(round, ".dump")), keys)
		}},
		{"otter", func(_ context.Context, round int) ([]float64, error) {
			return saveAndLoad(filepath.Join(directory, fmt.Sprint(round, ".gob")), keys)
		}},
	}
	return []*table{cold, warm}, r.alternate(ctx, r.slow, turns, cold, warm)
}

// startTwice starts a bucket without its file, and with it.
func startTwice(ctx context.Context, path string, keys []string) ([]float64, error) {
	seed := mapOf(keys)
	funcs := loader.Funcs[string, value]{
		LoadFunc: neverLoad[string],
		InitFunc: func(context.Context) (map[string]value, error) { return seed, nil },
	}
	var samples []float64
	for range 2 {
		began := time.Now()
		w, err := startBucket(ctx, funcs, bucket.File(path))
		if err != nil {
			return nil, err
		}
		samples = append(samples, each(time.Since(began), len(keys)))
		if err := holds(ctx, w, keys, w.held.Len()); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		clearUp()
	}
	return samples, os.Remove(path)
}

// saveAndLoad does with otter what can be done there.
func saveAndLoad(path string, keys []string) ([]float64, error) {
	began := time.Now()
	o, err := newOtter(keys, neverLoad[string])
	if err != nil {
		return nil, err
	}
	if err := otter.SaveCacheToFile(o.held, path); err != nil {
		return nil, err
	}
	saved := each(time.Since(began), len(keys))

	clearUp()
	began = time.Now()
	o, err = newOtter[string](nil, neverLoad[string])
	if err != nil {
		return nil, err
	}
	if err := otter.LoadCacheFromFile(o.held, path); err != nil {
		return nil, err
	}
	restored := each(time.Since(began), len(keys))
	if err := holds(context.Background(), o, keys, o.held.EstimatedSize()); err != nil {
		return nil, err
	}
	return []float64{saved, restored}, os.Remove(path)
}

// holds looks whether a store came back as it was: the number of its entries, and one of them.
func holds(ctx context.Context, s store[string], keys []string, entries int) error {
	if entries != len(keys) {
		return fmt.Errorf("holds %d entries, want %d", entries, len(keys))
	}
	last := len(keys) - 1
	got, err := s.Get(ctx, keys[last])
	if err == nil && got != valueAt(last) {
		err = fmt.Errorf("key %s: got %v, want %v", keys[last], got, valueAt(last))
	}
	return err
}
