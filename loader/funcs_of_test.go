package loader_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/loader"
)

func TestFuncsOf_has_the_companions_of_the_loader_and_no_others(t *testing.T) {
	for name, l := range map[string]loader.Loader[string, int]{
		"plain": plain{}, "seeder": seeder{}, "grand": &grand{}, "funcs": everyFunc(), "near miss": nearMiss{},
		"function": loader.Func(plain{}.Load),
	} {
		t.Run(name, func(t *testing.T) {
			f := loader.FuncsOf(l)
			assert.Equal(t, present(loader.CompanionsOf(l)), present(loader.CompanionsOf[string, int](f)))
			want, _ := l.Load(t.Context(), "a")
			got, err := f.Load(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.NoError(t, loader.Check[string, int](f))
		})
	}
}

func TestFuncsOf_calls_the_companion_of_its_name(t *testing.T) {
	var called []string
	call := func(name string) { called = append(called, name) }
	f := loader.FuncsOf[string, int](funcs{
		LoadFunc: func(context.Context, string) (int, error) { call("Load"); return 0, nil },
		InitFunc: func(context.Context) (map[string]int, error) { call("Init"); return nil, nil },
		LoadRelatedFunc: func(context.Context, string) (int, map[string]int, error) {
			call("Related")
			return 0, nil, nil
		},
		LoadBatchFunc:     func(context.Context, []string) (map[string]int, error) { call("Batch"); return nil, nil },
		LoadAllFunc:       func(context.Context) (map[string]int, error) { call("All"); return nil, nil },
		ReloadFunc:        func(context.Context, string, int) (int, error) { call("Reload"); return 0, nil },
		FilterRefreshFunc: func(context.Context, string, int, error) (int, error) { call("Filter"); return 0, nil },
	})
	ctx := t.Context()
	_, _ = f.LoadFunc(ctx, "")
	_, _ = f.InitFunc(ctx)
	_, _, _ = f.LoadRelatedFunc(ctx, "")
	_, _ = f.LoadBatchFunc(ctx, nil)
	_, _ = f.LoadAllFunc(ctx)
	_, _ = f.ReloadFunc(ctx, "", 0)
	_, _ = f.FilterRefreshFunc(ctx, "", 0, nil)
	assert.Equal(t, []string{"Load", "Init", "Related", "Batch", "All", "Reload", "Filter"}, called)
}
