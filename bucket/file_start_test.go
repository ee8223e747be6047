package bucket_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// life starts a bucket, lets use it and stops it.
func life[K comparable, V any](t *testing.T, b *bucket.Bucket[K, V], use func()) {
	t.Helper()
	sup := supervisor.New(newSystem(), noLog())
	require.NoError(t, sup.Start(context.Background(), b))
	use()
	require.NoError(t, sup.Stop(context.Background()))
}

// writtenFile is a disk with the file of a bucket: a seed, and then these in order.
func writtenFile(t *testing.T, keys ...string) *dumptest.Disk {
	t.Helper()
	disk := newDisk(t)
	b := numbers(disk)
	life(t, b, func() {
		for i, key := range keys {
			require.NoError(t, b.DirectSet(context.Background(), key, i))
		}
	})
	tidy(t, disk)
	return disk
}

func fileSize(t *testing.T, disk *dumptest.Disk) int64 {
	t.Helper()
	data, err := disk.ReadFile(filePath)
	require.NoError(t, err)
	return int64(len(data))
}

func TestOnCorrupt_decides_about_a_damaged_file(t *testing.T) {
	tests := []struct {
		policy  bucket.CorruptPolicy
		outcome dump.Outcome
		keys    []string
		inits   int64
		wantErr error
	}{
		{policy: bucket.Quarantine, outcome: dump.Quarantined, keys: []string{"seed"}, inits: 1},
		{policy: bucket.SalvagePrefix, outcome: dump.Salvaged, keys: []string{"seed", "a", "b"}},
		{policy: bucket.Fail, wantErr: dump.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.policy.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := writtenFile(t, "a", "b")
				before := fileSize(t, disk)
				b := numbers(disk)
				life(t, b, func() { require.NoError(t, b.DirectSet(t.Context(), strings.Repeat("c", 5000), 3)) })
				require.NoError(t, disk.FlipBit(filePath, 8*(before+1000)))
				damaged, err := disk.ReadFile(filePath)
				require.NoError(t, err)

				source := &counting{}
				logger, log := captured()
				b = bucket.New("numbers", source, logger, on(disk), bucket.OnCorrupt(tt.policy))
				sup := supervisor.New(newSystem(), noLog())
				err = sup.Start(t.Context(), b)
				if tt.wantErr != nil {
					require.ErrorIs(t, err, tt.wantErr)
					require.ErrorContains(t, err, "put a copy in its place, remove it, or open it with OnCorrupt")
					require.Equal(t, []string{"numbers.dump"}, disk.Names("/data"))
					after, err := disk.ReadFile(filePath)
					require.NoError(t, err)
					assert.Equal(t, damaged, after)
					return
				}
				require.NoError(t, err)
				found := b.Stats().Persist.Recovery
				assert.Equal(t, tt.outcome, found.Outcome)
				assert.ElementsMatch(t, tt.keys, b.Keys())
				assert.Equal(t, tt.inits, source.inits.Load())
				aside, err := disk.ReadFile(found.Kept)
				require.NoError(t, err)
				assert.Equal(t, damaged, aside)
				assert.Contains(t, found.Kept, filePath+".corrupt-")
				assert.Equal(t, 1, logged(log.AllEntries(), logrus.ErrorLevel))
				assert.Len(t, kept[int](t, disk), len(tt.keys), "the new file is there before the bucket is ready")
				require.NoError(t, sup.Stop(t.Context()))
			})
		})
	}
}

func logged(entries []*logrus.Entry, level logrus.Level) (n int) {
	for _, entry := range entries {
		if entry.Level == level {
			n++
		}
	}
	return n
}

func TestFile_that_is_not_the_buckets_is_an_error_and_stays_as_it_is(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, disk *dumptest.Disk)
		opts []bucket.Option
		want error
	}{
		{name: "another program's", make: func(t *testing.T, disk *dumptest.Disk) {
			require.NoError(t, disk.WriteFile(filePath, []byte(strings.Repeat("not a dump ", 500)), 0o600))
		}, want: dump.ErrForeign},
		{name: "another bucket's", make: func(t *testing.T, disk *dumptest.Disk) {
			other := bucket.New("others", &counting{}, quiet(), on(disk))
			life(t, other, func() {})
		}, want: dump.ErrForeign},
		{name: "of another schema", opts: []bucket.Option{bucket.Schema(7)}, want: dump.ErrSchema},
		{name: "of another codec", opts: []bucket.Option{bucket.Codec(dump.JSON())}, want: dump.ErrCodec},
		{name: "a directory", make: func(t *testing.T, disk *dumptest.Disk) {
			require.NoError(t, disk.MkdirAll(filePath))
		}, want: dump.ErrNotRegular},
		{name: "a pipe", make: func(t *testing.T, disk *dumptest.Disk) {
			require.NoError(t, disk.Mknod(filePath, fs.ModeNamedPipe|0o600))
		}, want: dump.ErrNotRegular},
		{name: "read-only", make: func(t *testing.T, disk *dumptest.Disk) {
			require.NoError(t, disk.Chmod(filePath, 0o400))
		}, want: dump.ErrReadOnly},
		{name: "unreadable", make: func(t *testing.T, disk *dumptest.Disk) {
			require.NoError(t, disk.Chmod(filePath, 0))
		}, want: dump.ErrIO},
	}
	for _, tt := range tests {
		for _, policy := range []bucket.CorruptPolicy{bucket.Quarantine, bucket.SalvagePrefix, bucket.Fail} {
			t.Run(tt.name+", "+policy.String(), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					disk := newDisk(t)
					if strings.HasPrefix(tt.name, "of another") || tt.make == nil || errors.Is(tt.want, dump.ErrReadOnly) || errors.Is(tt.want, dump.ErrIO) {
						disk = writtenFile(t, "a")
					}
					if tt.make != nil {
						tt.make(t, disk)
					}
					names := disk.Names("/data")
					before, _ := disk.ReadFile(filePath)
					_, err := startErr(t, numbers(disk, append(tt.opts, bucket.OnCorrupt(policy))...))
					require.ErrorIs(t, err, tt.want)
					require.Equal(t, names, disk.Names("/data"))
					after, _ := disk.ReadFile(filePath)
					require.Equal(t, before, after)
				})
			})
		}
	}
}

func TestFile_of_a_type_that_cannot_be_dumped_is_an_ErrConfig_that_names_the_part(t *testing.T) {
	type odd struct {
		Name  string
		Calls chan int
	}
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := bucket.New("numbers", loader.Func(func(context.Context, string) (odd, error) { return odd{}, nil }), quiet(), on(disk))
		_, err := startErr(t, b)
		require.ErrorIs(t, err, bucket.ErrConfig)
		require.ErrorIs(t, err, dump.ErrType)
		assert.ErrorContains(t, err, "Calls")
		assert.Empty(t, disk.Names("/data"))
	})
}

func TestInit_that_failed_is_made_up_for_by_the_next_start(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		initErr, inits := errDown, 0
		b := bucket.New("numbers", withInit(func(context.Context) (map[string]int, error) {
			inits++
			return map[string]int{"mine": -1, "seed": 7}, initErr
		}), quiet(), on(disk))
		life(t, b, func() {
			require.NoError(t, b.DirectSet(t.Context(), "mine", 5))
			require.Equal(t, bucket.Degraded, b.Health().State)
		})
		_, found := reopened[int](t, disk)
		require.True(t, found.Partial)

		initErr = nil
		life(t, b, func() {
			require.Equal(t, map[string]int{"mine": 5, "seed": 7}, tableOf(b))
			require.Equal(t, bucket.Ready, b.Health().State)
			require.Equal(t, tableOf(b), kept[int](t, disk), "nothing is read that is not in the file")
		})
		initErr = errDown
		life(t, b, func() { require.Equal(t, map[string]int{"mine": 5, "seed": 7}, tableOf(b)) })
		require.Equal(t, 2, inits, "it was made up for, once")
	})
}

func TestRefreshEvery_counts_through_a_restart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("numbers", src, quiet(), on(disk), bucket.RefreshEvery(time.Hour), bucket.Jitter(0))
		life(t, b, func() { _, _ = b.Fetch(t.Context(), "a") })
		for range 5 { // each shorter than the interval
			time.Sleep(15 * time.Minute)
			life(t, b, func() { time.Sleep(time.Minute) })
		}
		require.EqualValues(t, 2, src.loads.Load(), "one when it was missing, one after an hour")
		_, found := reopened[int](t, disk)
		require.False(t, found.FreshAt.IsZero())

		src.fail("a", errDown)
		time.Sleep(24 * time.Hour)
		life(t, b, func() {
			time.Sleep(time.Second)
			assert.Equal(t, bucket.Stale, b.Health().State)
			assert.EqualValues(t, 3, src.loads.Load(), "it was due at once")
		})
	})
}

func TestMigrate_reads_the_old_values_and_writes_them_anew_before_the_bucket_is_ready(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := writtenFile(t, "a", "b")
		texts := bucket.New("numbers", loader.Func(func(context.Context, string) (string, error) { return "", errDown }),
			quiet(), on(disk), bucket.Schema(1), bucket.Migrate(dump.MigrateFrom(0, dump.Raw(), func(n int) (string, error) {
				return strings.Repeat("|", n), nil
			})))
		life(t, texts, func() {
			require.Equal(t, map[string]string{"seed": "|", "a": "", "b": "|"}, tableOf(texts))
			require.True(t, texts.Stats().Persist.Recovery.Migrated)
		})
		again := bucket.New("numbers", loader.Func(func(context.Context, string) (string, error) { return "", errDown }),
			quiet(), on(disk), bucket.Schema(1))
		life(t, again, func() { require.Equal(t, map[string]string{"seed": "|", "a": "", "b": "|"}, tableOf(again)) })
	})
}

func TestFile_takes_struct_keys_and_values(t *testing.T) {
	type place struct {
		Country string
		Code    int
	}
	type town struct {
		Name    string
		Founded time.Time
		Twins   map[string][]place
	}
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		want := town{"Bern", time.Date(1191, 5, 1, 0, 0, 0, 0, time.UTC), map[string][]place{"none": {{"CH", 1}}}}
		loads := 0
		b := bucket.New("numbers", loader.Func(func(context.Context, place) (town, error) { loads++; return want, nil }), quiet(), on(disk))
		for range 3 {
			life(t, b, func() {
				got, err := b.Fetch(t.Context(), place{"CH", 3000})
				require.NoError(t, err)
				assert.Equal(t, want.Twins, got.Twins)
				assert.True(t, want.Founded.Equal(got.Founded))
			})
		}
		assert.Equal(t, 1, loads)
	})
}

func TestFile_keeps_the_pairs_of_a_related_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := bucket.New("numbers", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				return 9, map[string]int{key + "1": 1, key + "2": 2}, nil
			},
		}, quiet(), on(disk))
		life(t, b, func() {
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, map[string]int{"a1": 1, "a2": 2}, tableOf(b))
			require.Equal(t, tableOf(b), kept[int](t, disk))
		})
		tidy(t, disk)
	})
}

func TestCacheEnabled_false_keeps_in_the_file_what_was_set_and_nothing_that_was_loaded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.CacheEnabled(false))
		for range 2 {
			life(t, b, func() {
				require.NoError(t, b.DirectSet(t.Context(), "set", 5))
				got, err := b.Fetch(t.Context(), "set")
				require.NoError(t, err)
				assert.Equal(t, 3, got, "the loader's")
				got, _ = b.DirectGet("set")
				assert.Equal(t, 5, got)
				require.Equal(t, map[string]int{"set": 5}, kept[int](t, disk))
			})
		}
		tidy(t, disk)
	})
}

func TestInspect_names_the_policies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := numbers(newDisk(t), bucket.Sync(bucket.SyncAlways), bucket.OnCorrupt(bucket.SalvagePrefix))
		system, _ := start(t, b)
		text, err := json.Marshal(request(t, system, b.PID(), bucket.Inspect{}).(bucket.Status).Config)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"Sync":"SyncAlways"`)
		assert.Contains(t, string(text), `"OnCorrupt":"SalvagePrefix"`)
		assert.Contains(t, string(text), `"File":"`+filePath+`"`)
	})
}

func TestFile_that_another_holds_names_the_process(t *testing.T) {
	path := t.TempDir() + "/numbers.dump"
	onFile(t, &counting{}, path, func(*bucket.Bucket[string, int]) {
		_, err := startErr(t, bucket.New("numbers", &counting{}, quiet(), bucket.File(path)))
		require.ErrorIs(t, err, dump.ErrLocked)
		require.ErrorContains(t, err, "process "+jsonOf(os.Getpid()))
	})
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
