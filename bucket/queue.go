package bucket

import "slices"

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) size() int { return len(q.items) - q.head }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

// keep throws out every item that is not wanted.
func (q *queue[T]) keep(wanted func(T) bool) {
	q.items = slices.DeleteFunc(q.items[q.head:], func(item T) bool { return !wanted(item) })
	q.head = 0
}

// pop takes the oldest item out; the queue must not be empty.
func (q *queue[T]) pop() T {
	var none T
	item := q.items[q.head]
	q.items[q.head] = none
	if q.head++; 2*q.head >= len(q.items) {
		// Half of the slice is used up: moving the rest is paid for by the pops.
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item
}
