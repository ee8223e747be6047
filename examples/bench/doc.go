// Command bench measures DataWorker and its peers side by side, in one process.
//
//	go run ./bench                       everything; writes bench/peers.txt and bench/peers.svg
//	go run ./bench -list                 the scenarios
//	go run ./bench -run 'hits|hot'       some of them; writes nothing without -out
//	go run ./bench -quick                small sizes and few rounds, to try it out
//	go run ./bench -check                the figures that DataWorker promises; exits 1 past one
//
// Times of different runs, and of different minutes of one run, do not compare: the machine
// has other things to do. So the contestants take turns, in another order in each round, and
// a ratio is the median of the ratios of the rounds.
//
//	round 1   otter │ bare map │ DataWorker │ …
//	round 2   DataWorker │ otter │ bare map │ …     ▶ median, least and most of the rounds
//	…
//
// What to read: scenarios.go lists what is measured; store.go, plain.go, dataworker.go,
// loaders.go and hitsonly.go are the contestants; race.go is how they take turns; figures.go
// is what is promised.
package main
