package main

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
)

// bar shows how far a refresh is: as a bar to a person at a terminal, and as a line
// a quarter to a log, which would keep every stroke of the pen. It belongs to the
// goroutine that made it, which is the one that waits for the refresh.
type bar struct {
	w       io.Writer
	drawn   *progressbar.ProgressBar // nil where w is no terminal
	quarter int                      // of which the last line told
}

// newBar shows a bar at 0 of total.
func newBar(w io.Writer, total int) *bar {
	b := &bar{w: w}
	if isTerminal(w) {
		b.drawn = draw(w, total)
	}
	return b
}

func draw(w io.Writer, total int) *progressbar.ProgressBar {
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(barLabel),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), // one report a second is too little to go by
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }))
}

// barLabel stands where the screen has its labels.
var barLabel = fmt.Sprintf("%*s%-*s", indent, "", labelWidth-2, "progress")

// show brings the bar to done of total. It is made for [bucket.Progress].
func (b *bar) show(done, total int) {
	if b.drawn == nil {
		b.write(done, total)
		return
	}
	if total != b.drawn.GetMax() { // of another refresh, which had to end first
		b.drawn.Reset()
		b.drawn.ChangeMax(total)
	}
	_ = b.drawn.Set(done) // a bar that cannot be drawn has nobody to tell
}

func (b *bar) write(done, total int) {
	if quarter := 4 * done / max(1, total); quarter > b.quarter {
		b.quarter = quarter
		fmt.Fprintf(b.w, "%s%3d %% (%d/%d)\n", barLabel, 100*done/total, done, total)
	}
}

// leave ends the line of a bar that is not full: what comes next is not written
// into it.
func (b *bar) leave() {
	if b.drawn != nil && !b.drawn.IsFinished() {
		_ = b.drawn.Exit() // as above
	}
}
