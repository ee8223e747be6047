package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// openedFile is the outcome of reading a bucket's file. It belongs to the run from the moment
// that it is there, so that no crash can lose it: nobody else could take its lock.
type openedFile[K comparable, V any] struct {
	dump  *dump.Dump[K, V]
	table *table[K, V] // what it held
	found dump.Recovery
	err   error
}

// openFile has the bucket's file read, into a table that is to be the bucket's. It has no
// time-out: a large file takes its time, and to give up would be to lose it.
func (a *bucketActor[K, V]) openFile(ctx protoactor.Context, config Config) {
	r := a.run
	if file := r.file.Load(); file != nil {
		a.useFile(ctx, file)
		return
	}
	step := r.takeStep()
	r.background.Go(func() {
		sink := &restoring[K, V]{}
		file := &openedFile[K, V]{err: loader.ErrGoexit} // of a codec
		defer func() {
			r.file.Store(file)
			r.tell(&opened{run: r, step: step})
		}()
		file.dump, file.found, file.err = dump.Open(r.ctx, config.File, sink, r.dumpOptions(config))
		if file.err == nil {
			file.table = sink.table(!config.CacheEnabled, r.counters.hits)
		}
	})
}

func (r *run[K, V]) dumpOptions(config Config) dump.Options {
	return dump.Options{
		Name:         r.bucket.name,
		Keys:         config.KeyCodec,
		Values:       config.Codec,
		Schema:       config.Schema,
		Migrate:      config.Migrate,
		Sync:         config.Sync,
		OnCorrupt:    config.OnCorrupt,
		CompactAfter: config.CompactAfter,
		FS:           config.FileSystem,
		Notify:       func(err error) { r.tell(dumpTrouble{err}) },
	}
}

// restoredVersion is the version of all that a file holds.
const restoredVersion = 1

// restoring takes what a file holds.
type restoring[K comparable, V any] struct {
	*tableMaker[K, V]
	where map[K]int // an entry is among the maker's
}

func (s *restoring[K, V]) Begin(entries int) {
	s.tableMaker, s.where = newTableMaker[K, V](entries), make(map[K]int, entries)
}

func (s *restoring[K, V]) Put(e dump.Entry[K, V]) {
	restored := record[V]{value: e.Value, loadedAt: e.At, stamp: newStamp(restoredVersion, SourceDump)}
	if at, again := s.where[e.Key]; again {
		s.slots[at].first = restored
		return
	}
	s.where[e.Key] = s.add(e.Key, restored)
}

func (s *restoring[K, V]) Delete(key K) {
	if at, held := s.where[key]; held {
		s.slots[at].first = record[V]{}
	}
}

func (a *bucketActor[K, V]) opened(ctx protoactor.Context, note *opened) {
	r := a.run
	if note.run != any(r) || note.step != r.step || r.phase() != phaseStarting {
		return
	}
	r.starting = false
	a.useFile(ctx, r.file.Load())
}

// useFile goes on with what the file held: nothing, and Init seeds the bucket as if it had no
// file; or a table, and Init is needed only if it failed when the file was made.
func (a *bucketActor[K, V]) useFile(ctx protoactor.Context, file *openedFile[K, V]) {
	r := a.run
	if file.err != nil {
		a.decline(ctx, a.bucket.errorf("%w", openError(file.err)))
		return
	}
	if r.keeper == nil {
		r.table = file.table
		r.version.Store(restoredVersion)
		r.changeVitals(func(v *vitals) { v.recovery = file.found })
		r.keeper = &keeper[K, V]{dump: file.dump, batch: file.dump.NewBatch()}
		file.table = nil // it is the run's now, who lets go of it one day
		r.logRecovery(file.dump.Path(), file.found)
		r.publish(DumpOpened{Bucket: r.bucket.name, Path: file.dump.Path(), Recovery: file.found})
	}

	if !r.planted && (file.found.Empty() || file.found.Partial || r.dumpTooOld()) {
		a.seed(ctx)
		return
	}
	a.found(ctx)
}

// dumpTooOld says whether what the file held is older than the options allow.
func (r *run[K, V]) dumpTooOld() bool {
	most, found := r.config.Load().MaxDumpAge, r.vitals.Load().recovery
	return most > 0 && !found.Empty() && time.Since(found.FreshAt) > most
}

// openError says of a type that cannot be dumped that it is a bad option.
func openError(err error) error {
	if errors.Is(err, dump.ErrType) {
		return fmt.Errorf("%w: File: %w", ErrConfig, err)
	}
	return err
}

func (r *run[K, V]) logRecovery(path string, found dump.Recovery) {
	r.log(func(log logrus.FieldLogger) {
		log = log.WithFields(logrus.Fields{
			"path": path, "outcome": found.Outcome, "records": found.Records, "took": found.Took.Round(time.Microsecond),
		})
		if found.Kept != "" {
			log = log.WithField("kept", found.Kept)
		}
		switch found.Outcome {
		case dump.Quarantined:
			log.WithError(found.Damage).Error("the dump is damaged; starting without it")
		case dump.Salvaged:
			log.WithError(found.Damage).Error("the dump is damaged; starting with what stands before the damage")
		case dump.Torn:
			log.WithError(found.Damage).Warn("the dump ends with a write that a crash cut short")
		case dump.Absent:
			log.Info("there is no dump yet")
		default:
			log.Info("dump read")
		}
	})
}

// found writes the first file, or the one that a file which cannot go on asks for, before
// anything is acknowledged; then the bucket is ready.
func (a *bucketActor[K, V]) found(ctx protoactor.Context) {
	r := a.run
	if r.keeper == nil || r.keeper.dump.Broken() == nil && !r.vitals.Load().recovery.Partial && !r.reseeded {
		a.ready(ctx)
		return
	}
	step := r.takeStep()
	d, snapshot := r.keeper.dump, r.snapshot()
	r.background.Go(func() {
		note := &founded{run: r, err: loader.ErrGoexit, step: step} // of a codec
		defer r.tell(note)
		note.skipped, note.err = d.Rewrite(r.ctx, snapshot)
	})
}

// founded opens the bucket, with its file or without: one that cannot be written is no reason
// not to serve.
func (a *bucketActor[K, V]) founded(ctx protoactor.Context, note *founded) {
	r := a.run
	if note.run != any(r) || note.step != r.step || r.phase() != phaseStarting {
		return
	}
	r.starting = false
	r.logSkipped(note.skipped)
	if note.err != nil {
		r.keeper.outdated = true // the file lacks everything
		r.troubled(note.err)
	}
	a.ready(ctx)
}

// seed lets Init seed the bucket.
func (a *bucketActor[K, V]) seed(ctx protoactor.Context) {
	r, init := a.run, a.bucket.companions.Initializer
	if init == nil {
		a.found(ctx)
		return
	}
	step := r.takeStep()
	loader.Go(r.ctx, r.config.Load().InitTimeout,
		func(ctx context.Context) (seed[K, V], error) { return initialize(ctx, init) },
		func(s seed[K, V], err error) { r.tell(&seeded[K, V]{run: r, seed: s, err: err, step: step}) })
}
