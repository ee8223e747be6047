package loader_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/loader"
)

var errSource = errors.New("source is down")

// explode is a function to look for in a stack.
func explode(with any) { panic(with) }

func TestCall_returns_what_came_of_the_callback(t *testing.T) {
	tests := []struct {
		name     string
		callback func() (string, error)
		want     string
		wantErr  func(*testing.T, error)
	}{
		{
			name:     "it returns a value",
			callback: func() (string, error) { return "value", nil },
			want:     "value",
			wantErr:  func(t *testing.T, err error) { assert.NoError(t, err) },
		},
		{
			name:     "it returns an error",
			callback: func() (string, error) { return "", errSource },
			wantErr:  func(t *testing.T, err error) { assert.Equal(t, errSource, err, "as it is, not wrapped") },
		},
		{
			name:     "it returns an error and a value: the value is dropped",
			callback: func() (string, error) { return "rubbish", errSource },
			wantErr:  func(t *testing.T, err error) { assert.Equal(t, errSource, err) },
		},
		{
			name:     "it panics",
			callback: func() (string, error) { explode("boom"); return "rubbish", nil },
			wantErr: func(t *testing.T, err error) {
				p, ok := errors.AsType[*loader.PanicError](err)
				require.True(t, ok, "a %T", err)
				assert.Equal(t, "boom", p.Value)
				assert.Contains(t, string(p.Stack), "loader_test.explode", "the stack of the panic")
				assert.Equal(t, "panic: boom", p.Error())
			},
		},
		{
			name:     "it panics with an error",
			callback: func() (string, error) { panic(fmt.Errorf("row 7: %w", errSource)) },
			wantErr:  func(t *testing.T, err error) { assert.ErrorIs(t, err, errSource) },
		},
		{
			name:     "it panics with nil",
			callback: func() (string, error) { panic(nil) },
			wantErr: func(t *testing.T, err error) {
				_, ok := errors.AsType[*loader.PanicError](err)
				assert.True(t, ok, "a %T", err)
				_, ok = errors.AsType[*runtime.PanicNilError](err)
				assert.True(t, ok, "it says that nil was given to panic")
			},
		},
		{
			name:     "it calls Goexit",
			callback: func() (string, error) { runtime.Goexit(); return "rubbish", nil },
			wantErr:  func(t *testing.T, err error) { assert.Equal(t, loader.ErrGoexit, err) },
		},
		{
			name: "it calls Goexit on the way out of a panic",
			callback: func() (string, error) {
				defer runtime.Goexit()
				panic("boom")
			},
			wantErr: func(t *testing.T, err error) { assert.Equal(t, loader.ErrGoexit, err) },
		},
		{
			name:     "it returns an error that is a nil pointer: an error all the same",
			callback: func() (string, error) { return "rubbish", (*nilError)(nil) },
			wantErr:  func(t *testing.T, err error) { assert.Equal(t, (*nilError)(nil), err) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, timeout := range []time.Duration{0, time.Hour} {
				got, err := loader.Call(t.Context(), timeout, func(context.Context) (string, error) { return tt.callback() })
				tt.wantErr(t, err)
				assert.Equal(t, tt.want, got)
			}
		})
	}
}

type nilError struct{}

func (e *nilError) Error() string { return "never " + fmt.Sprintf("%+v", *e) }

func TestGo_returns_before_its_callback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan struct{})
		calls := record(t.Context(), 0, func(context.Context) (int, error) {
			<-opened
			return 1, nil
		})
		synctest.Wait()
		require.Empty(t, calls.list(), "the callback is at work, and we are back")
		close(opened)
		synctest.Wait()
		assert.Equal(t, []call{{value: 1}}, calls.list())
	})
}

func TestGo_gives_up_a_callback_that_ignores_its_context(t *testing.T) {
	errClosing := errors.New("the bucket is closing")
	tests := []struct {
		name    string
		timeout time.Duration
		context func(parent context.Context) (context.Context, context.CancelFunc)
		at      time.Duration
		want    error
	}{
		{
			name:    "at its deadline",
			timeout: 3 * time.Second,
			context: context.WithCancel,
			at:      3 * time.Second,
			want:    context.DeadlineExceeded,
		},
		{
			name: "at the context's own deadline",
			context: func(parent context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(parent, 2*time.Second)
			},
			at:   2 * time.Second,
			want: context.DeadlineExceeded,
		},
		{
			name:    "when the context is cancelled, before the deadline",
			timeout: 3 * time.Second,
			context: func(parent context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(parent)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
			at:   time.Second,
			want: context.Canceled,
		},
		{
			name:    "when the context is cancelled, with the cause of that",
			timeout: 3 * time.Second,
			context: func(parent context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(parent)
				time.AfterFunc(time.Second, func() { cancel(errClosing) })
				return ctx, func() { cancel(nil) }
			},
			at:   time.Second,
			want: errClosing,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tt.context(t.Context())
				defer cancel()
				calls := record(ctx, tt.timeout, func(context.Context) (int, error) {
					time.Sleep(time.Minute)
					return 1, nil
				})
				time.Sleep(tt.at - 1)
				synctest.Wait()
				assert.Empty(t, calls.list(), "not a moment too soon")
				time.Sleep(time.Hour)
				assert.Equal(t, []call{{err: tt.want, at: tt.at}}, calls.list(), "then, and never again")
			})
		})
	}
}

func TestGo_gives_up_at_once_with_a_context_that_was_over_before(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		calls := record(ctx, time.Minute, func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 1, nil
		})
		time.Sleep(2 * time.Hour)
		assert.Equal(t, []call{{err: context.Canceled}}, calls.list())
	})
}

func TestCall_gives_up_a_callback_that_ignores_its_context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		value, err := loader.Call(t.Context(), 3*time.Second, func(context.Context) (int, error) {
			time.Sleep(time.Minute)
			return 1, nil
		})
		assert.Equal(t, context.DeadlineExceeded, err)
		assert.Zero(t, value)
		assert.Equal(t, 3*time.Second, time.Since(begin))
		time.Sleep(time.Minute) // the abandoned callback returns: nobody minds
	})
}

func TestGo_tells_the_callback_its_deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		deadline, err := loader.Call(t.Context(), 3*time.Second, func(ctx context.Context) (time.Time, error) {
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			return deadline, nil
		})
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, deadline.Sub(begin))
	})
}

func TestGo_has_no_deadline_of_its_own_for_a_timeout_of_zero_or_less(t *testing.T) {
	for _, timeout := range []time.Duration{0, -time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				value, err := loader.Call(t.Context(), timeout, func(ctx context.Context) (int, error) {
					_, ok := ctx.Deadline()
					assert.False(t, ok)
					time.Sleep(1000 * time.Hour)
					return 1, nil
				})
				require.NoError(t, err)
				assert.Equal(t, 1, value)
			})
		})
	}
}

func TestGo_ends_the_callback_s_context_when_the_callback_is_done(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		given := make(chan context.Context, 1)
		_, err := loader.Call(t.Context(), time.Hour, func(ctx context.Context) (int, error) {
			given <- ctx
			return 0, nil
		})
		require.NoError(t, err)
		begin := time.Now()
		<-(<-given).Done()
		assert.Zero(t, time.Since(begin), "its timer must not stay for an hour")
	})
}

// muffled is a context of which the callback knows that it has ended before its
// watchers are told: they are when somebody rings. It stands in for an unlucky
// scheduler.
type muffled struct {
	context.Context
	over chan struct{}
	bell atomic.Pointer[func()]
}

func newMuffled() *muffled {
	return &muffled{Context: context.Background(), over: make(chan struct{})}
}

func (m *muffled) Done() <-chan struct{} { return m.over }

func (m *muffled) Err() error {
	select {
	case <-m.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// AfterFunc is found by package context, which then leaves the watching to us.
func (m *muffled) AfterFunc(f func()) (stop func() bool) {
	m.bell.Store(&f)
	return func() bool { return m.bell.Swap(nil) != nil }
}

// ring tells the watcher, if one is left, and waits until it has acted.
func (m *muffled) ring() {
	if bell := m.bell.Swap(nil); bell != nil {
		(*bell)()
	}
	synctest.Wait()
}

// A bucket's loads share a context that lives as long as the bucket.
func TestGo_leaves_no_watcher_behind_with_a_context_that_lives_on(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := newMuffled()
				opened := make(chan struct{})
				calls := record(ctx, timeout, func(context.Context) (int, error) {
					<-opened
					return 1, nil
				})
				synctest.Wait()
				require.NotNil(t, ctx.bell.Load(), "watched while the callback is at work")
				close(opened)
				synctest.Wait()
				require.Len(t, calls.list(), 1)
				assert.Nil(t, ctx.bell.Load())
			})
		})
	}
}

func TestGo_names_the_deadline_in_a_callback_s_own_words_for_it(t *testing.T) {
	tests := []struct {
		name   string
		answer error
		want   string
	}{
		{"words of its own", errSource, "context deadline exceeded: source is down"},
		{"words that name it already", fmt.Errorf("driver: %w", context.DeadlineExceeded), "driver: context deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := newMuffled()
				calls := record(ctx, 0, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					return 1, tt.answer
				})
				close(ctx.over)
				synctest.Wait() // the callback has answered, the watcher has heard nothing
				ctx.ring()
				require.Len(t, calls.list(), 1)
				got := calls.list()[0]
				assert.Zero(t, got.value)
				assert.ErrorIs(t, got.err, context.DeadlineExceeded)
				assert.ErrorIs(t, got.err, tt.answer)
				assert.EqualError(t, got.err, tt.want)
			})
		})
	}
}

func TestGo_lets_a_callback_succeed_that_wins_the_race_with_its_deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := newMuffled()
		calls := record(ctx, 0, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 1, nil
		})
		close(ctx.over)
		synctest.Wait()
		ctx.ring()
		assert.Equal(t, []call{{value: 1}}, calls.list())
	})
}

// An error that comes after the deadline is compared with it, and the comparison
// runs a method of the error.
func TestGo_survives_an_error_whose_Is_method_panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := newMuffled()
		calls := record(ctx, 0, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 1, moody{}
		})
		close(ctx.over)
		synctest.Wait()
		ctx.ring()
		require.Len(t, calls.list(), 1)
		got := calls.list()[0]
		assert.Zero(t, got.value, "a value that comes with an error is dropped")
		p, ok := errors.AsType[*loader.PanicError](got.err)
		require.True(t, ok, "a %T", got.err)
		assert.Equal(t, "no comparisons", p.Value)
	})
}

// moody is an error that does not want to be compared.
type moody struct{}

func (moody) Error() string { return "moody" }
func (moody) Is(error) bool { panic("no comparisons") }

func TestGo_calls_done_once_in_every_schedule(t *testing.T) {
	endings := map[string]func() (int, error){
		"returns": func() (int, error) { return 1, nil },
		"fails":   func() (int, error) { return 0, errSource },
		"panics":  func() (int, error) { panic("boom") },
		"goexits": func() (int, error) { runtime.Goexit(); return 0, nil },
	}
	for name, ending := range endings {
		callback := func(ctx context.Context, at time.Duration) (int, error) {
			time.Sleep(at)
			return ending()
		}
		t.Run("deadline, then the callback "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := record(t.Context(), 1*time.Second, func(ctx context.Context) (int, error) { return callback(ctx, 2*time.Second) })
				time.Sleep(time.Minute)
				assert.Equal(t, []call{{err: context.DeadlineExceeded, at: time.Second}}, calls.list())
			})
		})
		t.Run("the callback "+name+", then the deadline", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := record(t.Context(), 2*time.Second, func(ctx context.Context) (int, error) { return callback(ctx, 1*time.Second) })
				time.Sleep(time.Minute)
				require.Len(t, calls.list(), 1)
				assert.Equal(t, time.Second, calls.list()[0].at)
				assert.NotErrorIs(t, calls.list()[0].err, context.DeadlineExceeded)
			})
		})
		t.Run("the callback "+name+" at its deadline", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []*calls
				for range 100 {
					all = append(all, record(t.Context(), time.Second, func(ctx context.Context) (int, error) { return callback(ctx, time.Second) }))
				}
				time.Sleep(time.Minute)
				for _, calls := range all {
					assert.Len(t, calls.list(), 1)
				}
			})
		})
	}
}

// call is one call of done.
type call struct {
	value int
	err   error
	at    time.Duration // since Go was called
}

type calls struct{ made chan call }

// record runs Go and takes note of each call of done.
func record(ctx context.Context, timeout time.Duration, callback func(context.Context) (int, error)) *calls {
	c := &calls{made: make(chan call, 10)}
	begin := time.Now()
	loader.Go(ctx, timeout, callback, func(value int, err error) {
		c.made <- call{value, err, time.Since(begin)}
	})
	return c
}

// list returns the calls so far and keeps them for the next time.
func (c *calls) list() []call {
	var list []call
	for range len(c.made) {
		one := <-c.made
		c.made <- one
		list = append(list, one)
	}
	return list
}
