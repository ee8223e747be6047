package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
)

// progress shows a person at a terminal which scenario is at work; anybody else is told
// nothing.
type progress struct{ bar *progressbar.ProgressBar } // nil where nobody looks

func newProgress(w io.Writer, scenarios int) progress {
	if !isTerminal(w) {
		return progress{}
	}
	return progress{progressbar.NewOptions(scenarios,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(20),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), // no scenario takes as long as another
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true))}
}

// step names what is at work.
func (p progress) step(name string) {
	if p.bar != nil {
		p.bar.Describe(name)
	}
}

// done is called after each scenario.
func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Add(1) // a bar that cannot be drawn has nobody to tell
	}
}

// clear makes room for a table.
func (p progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear() // as above
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
