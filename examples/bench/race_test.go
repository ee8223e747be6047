package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAlternate_gives_everybody_a_turn_in_each_round_and_others_in_front(t *testing.T) {
	var order []string
	r := &race{tell: func(string) {}}
	twice := func(name string, plus float64) turn {
		return turn{name, func(_ context.Context, round int) ([]float64, error) {
			order = append(order, name)
			return []float64{float64(round) + plus, plus}, nil
		}}
	}
	first, second := &table{name: "first", base: "a"}, &table{name: "second"}
	turns := []turn{twice("a", 1), twice("b", 2), twice("c", 3)}
	require.NoError(t, r.alternate(t.Context(), 20, turns, first, second))

	require.Len(t, order, 60)
	inFront := map[string]bool{}
	for round := range 20 {
		turnsOf := order[3*round:][:3]
		assert.ElementsMatch(t, []string{"a", "b", "c"}, turnsOf)
		inFront[turnsOf[0]] = true
	}
	assert.Len(t, inFront, 3)
	assert.Equal(t, []float64{2, 3, 4}, first.row("b").samples[:3])
	assert.Equal(t, []float64{1, 2, 3}, first.row("b").against[:3])
	assert.Equal(t, spread{3, 3, 3}, spreadOf(second.row("c").samples))
}

func TestAlternate_ends_with_the_error_of_a_turn(t *testing.T) {
	broken := errors.New("broken")
	r := &race{tell: func(string) {}}
	err := r.alternate(t.Context(), 3, []turn{{"a", func(context.Context, int) ([]float64, error) { return nil, broken }}}, &table{name: "first"})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "first: a: broken")
}
