// Dwdump looks inside a dump file, also while its owner has it open. It is for the operator
// at night: what is in the file, is it whole, what does it say about this key.
//
//	args ──▶ command ──▶ subject ──(no lock, no writing)──▶ dump.Read ──▶ file
//	stdout ◀── JSON, or text that is safe for a terminal ◀── decoder ◀── records
//
// Only "compact" writes to the file, and takes its lock. See dwdump --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // so that a write to a closed pipe fails, and nothing is left behind
	code := run(ctx, os.Args[1:], console{
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal(os.Stderr),
		shared:   isTerminal(os.Stdout),
		now:      time.Now,
		fs:       dump.OS(),
	})
	stop()
	os.Exit(code)
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
