package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// terminal is a bar as a person sees it, drawn into a buffer.
func terminal(w *bytes.Buffer, total int) *bar { return &bar{w: w, drawn: draw(w, total)} }

// lastLine is what a terminal shows on its last line that is not empty.
func lastLine(drawn string) string {
	drawn = strings.TrimSuffix(drawn, "\n")
	return strings.TrimSpace(drawn[strings.LastIndexAny(drawn, "\r\n")+1:])
}

func TestBar_follows_a_refresh_to_its_end(t *testing.T) {
	for _, tt := range []struct {
		name  string
		makes func(*bytes.Buffer, int) *bar
		want  []string
	}{
		{"terminal", terminal, []string{"0% |", "(0/80)", "40%", "(32/80)", "80%", "(64/80)", "100% |███", "(80/80)"}},
		{"log", func(w *bytes.Buffer, total int) *bar { return newBar(w, total) }, []string{
			"progress 40 % (32/80)", "progress 80 % (64/80)", "progress 100 % (80/80)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				world := slowWorld(t, 80)
				bar := tt.makes(&out, world.Len())
				_, err := world.Refresh(t.Context(), bucket.Progress(bar.show))
				require.NoError(t, err)
				bar.show(80, 80)
				bar.leave()

				assertInOrder(t, out.String(), tt.want...)
				assert.Contains(t, lastLine(out.String()), "100")
				assert.True(t, strings.HasSuffix(out.String(), ")\n") || strings.HasSuffix(out.String(), ") \n"), "%q", out.String())
			})
		})
	}
}

// slowWorld is a bucket of so many keys, of which a refresh loads eight in 225 ms.
func slowWorld(t *testing.T, keys int) *bucket.Bucket[int, int] {
	t.Helper()
	world := bucket.New("world", loader.Funcs[int, int]{
		InitFunc: func(context.Context) (map[int]int, error) {
			seed := make(map[int]int, keys)
			for key := range keys {
				seed[key] = key
			}
			return seed, nil
		},
		LoadFunc: func(_ context.Context, key int) (int, error) {
			time.Sleep(225 * time.Millisecond)
			return key, nil
		},
	}, bucket.RefreshEvery(0), bucket.Logger(new(logbook).newLogger()))
	sup, err := supervisor.Start(t.Context(), actor.NewSystem(new(logbook).newLogger()), world)
	require.NoError(t, err)
	t.Cleanup(func() { sup.Stop(context.Background()) })
	return world
}

func TestBar_writes_no_control_characters_into_a_log(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, log.Close()) }()

	bar := newBar(log, 289)
	for done := range 290 {
		bar.show(done, 289)
	}
	bar.leave()

	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, 4, strings.Count(string(written), "\n"), "a line a quarter:\n%s", written)
	assertInOrder(t, string(written), "25 %", "50 %", "75 %", "100 % (289/289)")
	assertPlain(t, string(written))
}

func assertPlain(t *testing.T, text string) {
	t.Helper()
	for _, char := range text {
		if unicode.IsControl(char) && char != '\n' {
			t.Fatalf("control character %q in:\n%q", char, text)
		}
	}
}

func TestBar_takes_over_from_the_refresh_that_ran_before(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := terminal(&out, 4)
	bar.show(90, 100)
	assert.Contains(t, lastLine(out.String()), "(90/100)")
	bar.show(1, 4)
	assert.Contains(t, lastLine(out.String()), "(1/4)")
	bar.show(4, 4)
	assert.Contains(t, lastLine(out.String()), "100% |")
}

func TestBar_leaves_its_line_when_the_refresh_fails(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := terminal(&out, 4)
	bar.show(1, 4)
	bar.leave()
	assert.Contains(t, lastLine(out.String()), "25%")
	assert.True(t, strings.HasSuffix(out.String(), "\n"), "%q", out.String())
}
