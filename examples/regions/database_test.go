package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world is a database made for one test.
func world(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "regions.db")
	db, made, err := openDatabase(t.Context(), path)
	require.NoError(t, err)
	require.True(t, made)
	require.NoError(t, db.Close())
	return path
}

func TestDatabase_holds_every_region_in_every_language(t *testing.T) {
	t.Parallel()
	db, made, err := openDatabase(t.Context(), world(t))
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	assert.False(t, made, "it was there already")

	regions, names, err := worldSize(t.Context(), db)
	require.NoError(t, err)
	assert.Greater(t, regions, 280, "249 of ISO 3166, and the groups")
	assert.Greater(t, names, 7*regions, "a name may be missing here and there, not everywhere")

	var complete int
	err = db.QueryRow(`SELECT count(*) FROM (
		SELECT code FROM names GROUP BY code HAVING count(*) >= 5)`).Scan(&complete)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, complete, regions-1, "202 is the one that only English names")
}

func TestDatabase_is_made_once_and_whole_when_many_start_together(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a new folder", "50% of #1?.db")

	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			db, _, err := openDatabase(t.Context(), path)
			if !assert.NoError(t, err) {
				return
			}
			regions, _, err := worldSize(t.Context(), db)
			assert.NoError(t, err)
			assert.Greater(t, regions, 280)
			assert.NoError(t, db.Close())
		})
	}
	starters.Wait()

	assert.Equal(t, []string{"50% of #1?.db"}, filesIn(t, filepath.Dir(path)))
}

func TestDatabase_leaves_nothing_behind_when_interrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()

	_, _, err := openDatabase(interrupted, filepath.Join(dir, "regions.db"))
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, filesIn(t, dir))
}

func TestDatabase_refuses_what_is_not_its_own_and_leaves_it_alone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	tests := []struct {
		name    string
		content string
		want    string
	}{
		{"text", "this is somebody's letter, and quite long enough to have a header", "not a database"},
		{"empty", "", "not one of regions"}, // to SQLite an empty file is an empty database
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			require.NoError(t, os.WriteFile(path, []byte(tt.content), 0o600))

			_, _, err := openDatabase(t.Context(), path)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, path)

			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, tt.content, string(after))
		})
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
