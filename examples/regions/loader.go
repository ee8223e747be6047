package main

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/dataworker-go/dataworker/loader"
)

// Region is a country, a territory or a group of them.
type Region struct {
	Code     string            // ISO 3166 or UN M.49, as in JP and 419
	Currency string            // ISO 4217, as in JPY; empty where there is none
	Names    map[string]string // by language, as in "de": "Japan"
}

// regionLoader loads regions from the database, one query a region. This is all
// that a bucket needs to know about SQL.
type regionLoader struct {
	db      *sql.DB
	queries atomic.Int64 // how often the database was asked
}

var _ loader.Loader[string, Region] = (*regionLoader)(nil)

// Load reads the region with this code. It is [loader.ErrNotFound] when the
// database has no row for it: the bucket then knows that there is nothing to
// keep, which it could not know after any other error.
func (l *regionLoader) Load(ctx context.Context, code string) (Region, error) {
	l.queries.Add(1)
	rows, err := l.db.QueryContext(ctx, `
		SELECT ifnull(currency, ''), ifnull(language, ''), ifnull(name, '')
		FROM regions LEFT JOIN names USING (code)
		WHERE code = ?`, code)
	if err != nil {
		return Region{}, err
	}
	defer rows.Close()

	region := Region{Code: code, Names: make(map[string]string, len(languages))}
	found := false
	for rows.Next() {
		var language, name string
		if err := rows.Scan(&region.Currency, &language, &name); err != nil {
			return Region{}, err
		}
		found = true
		if language != "" {
			region.Names[language] = name
		}
	}
	if err := rows.Err(); err != nil {
		return Region{}, err
	}
	if !found {
		return Region{}, loader.ErrNotFound
	}
	return region, nil
}

// Queries reports how often the database was asked so far.
func (l *regionLoader) Queries() int64 { return l.queries.Load() }
