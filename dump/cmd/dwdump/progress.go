package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress is a bar on a terminal, for what takes long enough to wonder. It draws over
// itself, and is gone when something else is written.
type progress struct {
	console console
	began   time.Time

	mu    sync.Mutex // files are read and written by several goroutines
	doing string     // empty if nothing is
	total int64
	done  int64
	since time.Time // this bar
	drawn time.Time // zero if there is nothing on the terminal
}

const (
	quietFor = time.Second
	redraw   = 100 * time.Millisecond
	barWidth = 30
)

func newProgress(c console) *progress { return &progress{console: c, began: c.now()} }

// begin starts a bar in place of another.
func (p *progress) begin(doing string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing, p.total, p.done, p.since = doing, total, 0, p.console.now()
}

// reach moves the bar, and draws it if it is time to.
func (p *progress) reach(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.console.terminal || p.doing == "" || done <= p.done {
		return
	}
	p.done = done
	now := p.console.now()
	if now.Sub(p.began) < quietFor || now.Sub(p.drawn) < redraw {
		return
	}
	p.drawn = now
	fmt.Fprint(p.console.stderr, "\r"+p.bar(now.Sub(p.since))+"\x1b[K")
}

// end takes the bar off the terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = ""
	if !p.drawn.IsZero() {
		fmt.Fprint(p.console.stderr, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}

func (p *progress) bar(took time.Duration) string {
	share := 1.0
	if p.total > 0 {
		share = min(1, float64(p.done)/float64(p.total))
	}
	full := int(share * barWidth)
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	text := fmt.Sprintf("%s [%s] %3.0f%% of %s", p.doing, bar, 100*share, bytesText(p.total))
	if share > 0.05 && share < 1 { // with less it would be a guess
		left := time.Duration(float64(took) * (1 - share) / share)
		text += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return text
}

// bytesText is a size for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	size, names := float64(n)/unit, "KMGTPE"
	for size >= unit && len(names) > 1 {
		size, names = size/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", size, names[0])
}
