package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite", without C
)

// signature marks a database file as one that this program made, in the header
// field that SQLite keeps for the purpose.
const signature = 0x44577267 // "DWrg"

const schema = `
	CREATE TABLE regions (
		code     TEXT PRIMARY KEY,  -- ISO 3166 or UN M.49
		currency TEXT               -- ISO 4217; NULL where there is none
	) STRICT, WITHOUT ROWID;

	CREATE TABLE names (
		code     TEXT NOT NULL REFERENCES regions,
		language TEXT NOT NULL,     -- BCP 47
		name     TEXT NOT NULL,
		PRIMARY KEY (code, language)
	) STRICT, WITHOUT ROWID;
`

// defaultPath is where the database lives when no flag says otherwise.
func defaultPath() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir() // a machine without a home directory
	}
	return filepath.Join(dir, "dataworker", "regions.db")
}

// openDatabase opens the database at path and makes it first when there is
// none; made says which it was. A file that is something else is refused and
// left as it is. The caller closes the database.
func openDatabase(ctx context.Context, path string) (db *sql.DB, made bool, err error) {
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		err = makeDatabase(ctx, path)
	}
	if err != nil {
		return nil, false, err
	}

	db, err = openFile(path, "rw")
	if err != nil {
		return nil, false, err
	}
	if err := checkSignature(ctx, db); err != nil {
		return nil, false, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return db, made, nil
}

// makeDatabase fills a new file beside path and renames it when it is complete.
// Whoever finds a file at path therefore finds a whole one, also when two
// programs start at once or one of them is killed at work (which leaves its draft
// behind, in a hidden folder, to nobody's harm).
func makeDatabase(ctx context.Context, path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// A directory, because SQLite keeps a journal beside the file.
	workshop, err := os.MkdirTemp(dir, ".regions-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workshop)) }()

	draft := filepath.Join(workshop, "regions.db")
	if err := fillFile(ctx, draft); err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	return os.Rename(draft, path)
}

// fillFile makes the file at path and writes every region into it. The file is
// on the disk, and closed, when it returns.
func fillFile(ctx context.Context, path string) (err error) {
	db, err := openFile(path, "rwc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fill(ctx, tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// ignoreDone drops the complaint of a rollback that came second, after the one
// that the end of a context had started.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func fill(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	// A pragma takes no parameters.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", signature)); err != nil {
		return err
	}
	for region := range allRegions() {
		if err := insert(ctx, tx, region); err != nil {
			return fmt.Errorf("region %s: %w", region.Code, err)
		}
	}
	return nil
}

func insert(ctx context.Context, tx *sql.Tx, region Region) error {
	_, err := tx.ExecContext(ctx,
		"INSERT INTO regions (code, currency) VALUES (?, nullif(?, ''))", region.Code, region.Currency)
	if err != nil {
		return err
	}
	for language, name := range region.Names {
		_, err := tx.ExecContext(ctx,
			"INSERT INTO names (code, language, name) VALUES (?, ?, ?)", region.Code, language, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// openFile opens a file as a database: mode rw wants it to be there, rwc makes
// it.
func openFile(path, mode string) (*sql.DB, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(full)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/… in a URL
	}
	query := url.Values{
		"mode": {mode},
		// Somebody else's write is waited for, not reported.
		"_pragma": {"busy_timeout(5000)", "foreign_keys(1)"},
	}
	location := url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}
	return sql.Open("sqlite", location.String())
}

// checkSignature says what is wrong with a database that fillFile did not make.
func checkSignature(ctx context.Context, db *sql.DB) error {
	var id int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != signature {
		return errors.New("a database, but not one of regions; choose another path")
	}
	return nil
}

// worldSize counts what the database holds.
func worldSize(ctx context.Context, db *sql.DB) (regions, names int, err error) {
	err = db.QueryRowContext(ctx,
		"SELECT (SELECT count(*) FROM regions), (SELECT count(*) FROM names)").Scan(&regions, &names)
	return regions, names, err
}

// allKeys returns the code of every region, in order.
func allKeys(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT code FROM regions ORDER BY code")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var codes []string
	for rows.Next() {
		var code string
		if err := rows.Scan(&code); err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	return codes, rows.Err()
}

// setCurrency changes what a region pays with, as the owner of the data would.
func setCurrency(ctx context.Context, db *sql.DB, code, currency string) error {
	result, err := db.ExecContext(ctx,
		"UPDATE regions SET currency = nullif(?, '') WHERE code = ?", currency, code)
	if err != nil {
		return err
	}
	if rows, err := result.RowsAffected(); err != nil || rows != 1 {
		return errors.Join(fmt.Errorf("region %s: %d rows changed instead of one", code, rows), err)
	}
	return nil
}
