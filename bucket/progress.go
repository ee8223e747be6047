package bucket

import "time"

// RefreshOption changes one [Bucket.Refresh].
type RefreshOption func(*refreshTerms)

type refreshTerms struct{ progress func(done, total int) }

// Progress has report called once a second while the refresh runs: done of total keys are
// loaded. It is called by the goroutine that called Refresh, so it must not wait for the bucket
// longer than is good for its caller. A refresh that is over within a second reports nothing;
// while another one has to end first, the progress is that one's.
func Progress(report func(done, total int)) RefreshOption {
	return func(t *refreshTerms) { t.progress = report }
}

const progressEvery = time.Second

// progress returns how far the full refresh under way is; false if none has begun to load.
func (r *run[K, V]) progress() (done, total int, ok bool) {
	p := r.reading.Load()
	if p == nil {
		return 0, 0, false
	}
	done, total = p.progress()
	return done, total, true
}

func (p *pass[K, V]) progress() (done, total int) {
	total = len(p.claims)
	return max(0, min(total, total-int(p.left.Load()))), total
}
