// Command regions is DataWorker at its main job, on real data: the countries,
// territories and continents of the world, with their names in eight languages
// and their currencies, in a SQLite database that somebody else owns and
// changes.
//
//	go run ./regions              a tour: load, hit, herd, refresh, panic, crash, warm start, stop
//	go run ./regions -serve       the tour, and then at work until it is interrupted
//	go run ./regions -far 100ms   the tour, and a full refresh of some seconds behind a progress bar
//
// The database is made on the first run, from the Unicode CLDR data inside
// golang.org/x/text, and beside it a dump: from the second run on a bucket of the
// whole world starts from that, without asking the database.
//
//	tour ──Fetch──▶ bucket ──Load──▶ regionLoader ──SQL──▶ regions.db
//
// What to read: loader.go is all that one writes to put a bucket over a
// database; tour.go is what the bucket then does; warm.go keeps one in a file;
// far.go and bar.go show how far a refresh is.
package main
