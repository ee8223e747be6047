package main

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/loader"
)

func openWorld(t *testing.T) *sql.DB {
	t.Helper()
	db, _, err := openDatabase(t.Context(), world(t))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func TestLoader_loads_a_region_with_one_query(t *testing.T) {
	t.Parallel()
	l := &regionLoader{db: openWorld(t)}

	tests := []struct {
		code string
		want Region
	}{
		{"JP", Region{Code: "JP", Currency: "JPY", Names: map[string]string{
			"en": "Japan", "de": "Japan", "fr": "Japon", "es": "Japón",
			"ja": "日本", "ar": "اليابان", "ru": "Япония", "zh": "日本",
		}}},
		{"AQ", Region{Code: "AQ", Currency: "", Names: map[string]string{ // nobody sells anything there
			"en": "Antarctica", "de": "Antarktis", "fr": "Antarctique", "es": "Antártida",
			"ja": "南極", "ar": "أنتاركتيكا", "ru": "Антарктида", "zh": "南极洲",
		}}},
		{"202", Region{Code: "202", Names: map[string]string{"en": "Sub-Saharan Africa"}}},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			before := l.Queries()
			got, err := l.Load(t.Context(), tt.code)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			assert.EqualValues(t, 1, l.Queries()-before)
		})
	}
}

func TestLoader_is_sure_about_what_does_not_exist(t *testing.T) {
	t.Parallel()
	l := &regionLoader{db: openWorld(t)}

	for _, code := range []string{"", "UK", "ZZ", "jp", "392", "'; DROP TABLE regions; --"} {
		_, err := l.Load(t.Context(), code)
		assert.ErrorIs(t, err, loader.ErrNotFound, "code %q", code)
	}
}

func TestLoader_sees_a_region_without_any_name(t *testing.T) {
	t.Parallel()
	db := openWorld(t)
	l := &regionLoader{db: db}
	_, err := db.ExecContext(t.Context(), "DELETE FROM names WHERE code = 'FR'")
	require.NoError(t, err)

	got, err := l.Load(t.Context(), "FR")
	require.NoError(t, err)
	assert.Equal(t, Region{Code: "FR", Currency: "EUR", Names: map[string]string{}}, got)
}

func TestLoader_sees_a_change(t *testing.T) {
	t.Parallel()
	db := openWorld(t)
	l := &regionLoader{db: db}

	for _, money := range []string{"EUR", "", "HRK"} {
		require.NoError(t, setCurrency(t.Context(), db, "HR", money))
		got, err := l.Load(t.Context(), "HR")
		require.NoError(t, err)
		assert.Equal(t, money, got.Currency)
	}
	assert.Error(t, setCurrency(t.Context(), db, "no such region", "EUR"))
}

func TestLoader_does_not_call_an_outage_an_absence(t *testing.T) {
	t.Parallel()
	db, _, err := openDatabase(t.Context(), world(t))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	l := &regionLoader{db: db}

	_, err = l.Load(t.Context(), "JP")
	require.Error(t, err)
	assert.NotErrorIs(t, err, loader.ErrNotFound)
}

func TestLoader_gives_up_with_its_context(t *testing.T) {
	t.Parallel()
	l := &regionLoader{db: openWorld(t)}
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := l.Load(gone, "JP")
	assert.ErrorIs(t, err, context.Canceled)
}
