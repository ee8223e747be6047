package loader_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/loader"
)

type (
	companions = loader.Companions[string, int]
	funcs      = loader.Funcs[string, int]
)

// present names the fields of c that are set.
func present(c companions) []string {
	names := []string{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	return names
}

var everyCompanion = []string{"Initializer", "RelatedLoader", "BatchLoader", "AllLoader", "Reloader", "RefreshFilter"}

// plain has no companion.
type plain struct{}

func (plain) Load(context.Context, string) (int, error) { return 1, nil }

// seeder has one.
type seeder struct{ plain }

func (seeder) Init(context.Context) (map[string]int, error) { return map[string]int{"seed": 1}, nil }

// grand has them all, on its pointer.
type grand struct{ seeder }

func (*grand) LoadRelated(context.Context, string) (int, map[string]int, error) { return 0, nil, nil }

func (*grand) LoadBatch(context.Context, []string) (map[string]int, error) { return nil, nil }

func (*grand) LoadAll(context.Context) (map[string]int, error)                    { return nil, nil }
func (*grand) Reload(context.Context, string, int) (int, error)                   { return 0, nil }
func (*grand) FilterRefresh(context.Context, string, int, error) (v int, e error) { return 0, nil }

// nearMiss has methods of the right names and the wrong types.
type nearMiss struct{ plain }

func (nearMiss) Init(context.Context) (map[string]string, error) { return nil, nil }
func (nearMiss) LoadAll() (map[string]int, error)                { return nil, nil }

// embedding has Load and nothing else: the companions of a Funcs are fields.
type embedding struct{ funcs }

// wrapping has only what the interface has, whatever is in it.
type wrapping struct{ loader.Loader[string, int] }

func everyFunc() funcs {
	return funcs{
		LoadFunc:          func(context.Context, string) (int, error) { return 0, nil },
		InitFunc:          func(context.Context) (map[string]int, error) { return nil, nil },
		LoadRelatedFunc:   func(context.Context, string) (int, map[string]int, error) { return 0, nil, nil },
		LoadBatchFunc:     func(context.Context, []string) (map[string]int, error) { return nil, nil },
		LoadAllFunc:       func(context.Context) (map[string]int, error) { return nil, nil },
		ReloadFunc:        func(context.Context, string, int) (int, error) { return 0, nil },
		FilterRefreshFunc: func(context.Context, string, int, error) (int, error) { return 0, nil },
	}
}

func TestCompanionsOf_finds_what_is_there(t *testing.T) {
	every := everyFunc()
	tests := []struct {
		name   string
		loader loader.Loader[string, int]
		want   []string
	}{
		{"a plain type", plain{}, []string{}},
		{"a type with Init", seeder{}, []string{"Initializer"}},
		{"a type with everything", &grand{}, everyCompanion},
		{"a type with methods of other types", nearMiss{}, []string{}},
		{"a Func", loader.Func(plain{}.Load), []string{}},
		{"a Funcs with LoadFunc alone", funcs{LoadFunc: every.LoadFunc}, []string{}},
		{"a Funcs with InitFunc", funcs{LoadFunc: every.LoadFunc, InitFunc: every.InitFunc}, []string{"Initializer"}},
		{"a Funcs with LoadRelatedFunc", funcs{LoadRelatedFunc: every.LoadRelatedFunc}, []string{"RelatedLoader"}},
		{"a Funcs with LoadBatchFunc", funcs{LoadFunc: every.LoadFunc, LoadBatchFunc: every.LoadBatchFunc}, []string{"BatchLoader"}},
		{"a Funcs with LoadAllFunc", funcs{LoadFunc: every.LoadFunc, LoadAllFunc: every.LoadAllFunc}, []string{"AllLoader"}},
		{"a Funcs with ReloadFunc", funcs{LoadFunc: every.LoadFunc, ReloadFunc: every.ReloadFunc}, []string{"Reloader"}},
		{"a Funcs with FilterRefreshFunc", funcs{LoadFunc: every.LoadFunc, FilterRefreshFunc: every.FilterRefreshFunc}, []string{"RefreshFilter"}},
		{"a Funcs with everything", every, everyCompanion},
		{"a *Funcs with one", &funcs{LoadFunc: every.LoadFunc, InitFunc: every.InitFunc}, []string{"Initializer"}},
		{"a *Funcs with everything", &every, everyCompanion},
		{"a type that embeds a Funcs", embedding{every}, []string{}},
		{"a type that embeds one with companions", struct{ *grand }{&grand{}}, everyCompanion},
		{"a type that embeds the interface", wrapping{&grand{}}, []string{}},
		{"nil", nil, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, present(loader.CompanionsOf(tt.loader)))
		})
	}
}

func TestCompanionsOf_a_type_gives_the_value_itself(t *testing.T) {
	g := &grand{}
	c := loader.CompanionsOf[string, int](g)
	assert.Same(t, g, c.Initializer)
	assert.Same(t, g, c.RelatedLoader)
	assert.Same(t, g, c.BatchLoader)
	assert.Same(t, g, c.AllLoader)
	assert.Same(t, g, c.Reloader)
	assert.Same(t, g, c.RefreshFilter)
}

// Each companion must call its own function, with its arguments in order.
func TestCompanionsOf_Funcs_calls_the_functions(t *testing.T) {
	ctx := context.WithValue(t.Context(), plain{}, "the caller's")
	var said []string
	say := func(got context.Context, format string, args ...any) {
		assert.Equal(t, ctx, got, "the context is handed on")
		said = append(said, fmt.Sprintf(format, args...))
	}
	f := funcs{
		LoadFunc: func(ctx context.Context, key string) (int, error) {
			say(ctx, "load %s", key)
			return 1, errSource
		},
		InitFunc: func(ctx context.Context) (map[string]int, error) {
			say(ctx, "init")
			return map[string]int{"init": 2}, errSource
		},
		LoadRelatedFunc: func(ctx context.Context, key string) (int, map[string]int, error) {
			say(ctx, "related %s", key)
			return 3, map[string]int{"related": 3}, errSource
		},
		LoadBatchFunc: func(ctx context.Context, keys []string) (map[string]int, error) {
			say(ctx, "batch %v", keys)
			return map[string]int{"batch": 4}, errSource
		},
		LoadAllFunc: func(ctx context.Context) (map[string]int, error) {
			say(ctx, "all")
			return map[string]int{"all": 5}, errSource
		},
		ReloadFunc: func(ctx context.Context, key string, old int) (int, error) {
			say(ctx, "reload %s %d", key, old)
			return 6, errSource
		},
		FilterRefreshFunc: func(ctx context.Context, key string, value int, err error) (int, error) {
			say(ctx, "filter %s %d %v", key, value, err)
			return 7, err
		},
	}
	c := loader.CompanionsOf[string, int](f)

	value, err := f.Load(ctx, "k")
	assert.Equal(t, 1, value)
	assert.Equal(t, errSource, err)

	values, err := c.Initializer.Init(ctx)
	assert.Equal(t, map[string]int{"init": 2}, values)
	assert.Equal(t, errSource, err)

	value, values, err = c.RelatedLoader.LoadRelated(ctx, "k")
	assert.Equal(t, 3, value)
	assert.Equal(t, map[string]int{"related": 3}, values)
	assert.Equal(t, errSource, err)

	values, err = c.BatchLoader.LoadBatch(ctx, []string{"k", "l"})
	assert.Equal(t, map[string]int{"batch": 4}, values)
	assert.Equal(t, errSource, err)

	values, err = c.AllLoader.LoadAll(ctx)
	assert.Equal(t, map[string]int{"all": 5}, values)
	assert.Equal(t, errSource, err)

	value, err = c.Reloader.Reload(ctx, "k", 8)
	assert.Equal(t, 6, value)
	assert.Equal(t, errSource, err)

	value, err = c.RefreshFilter.FilterRefresh(ctx, "k", 9, errSource)
	assert.Equal(t, 7, value)
	assert.Equal(t, errSource, err)

	assert.Equal(t, []string{
		"load k", "init", "related k", "batch [k l]", "all", "reload k 8", "filter k 9 source is down",
	}, said)
}

func TestFuncs_Load_without_LoadFunc(t *testing.T) {
	t.Run("takes the value of LoadRelatedFunc", func(t *testing.T) {
		f := funcs{LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
			return len(key), map[string]int{"neighbour": 1}, errSource
		}}
		value, err := f.Load(t.Context(), "four")
		assert.Equal(t, 4, value)
		assert.Equal(t, errSource, err)
	})
	t.Run("is an error without that, too", func(t *testing.T) {
		value, err := embedding{}.Load(t.Context(), "k")
		assert.Zero(t, value)
		assert.EqualError(t, err, "loader.Funcs[string,int]: LoadFunc is nil")
	})
}

func TestFunc_loads_with_the_function(t *testing.T) {
	ctx := context.WithValue(t.Context(), plain{}, "the caller's")
	l := loader.Func(func(got context.Context, key string) (int, error) {
		assert.Equal(t, ctx, got)
		return len(key), errSource
	})
	value, err := l.Load(ctx, "four")
	assert.Equal(t, 4, value)
	assert.Equal(t, errSource, err)
}

func TestCheck_says_why_a_loader_cannot_be_used(t *testing.T) {
	every := everyFunc()
	tests := []struct {
		name   string
		loader loader.Loader[string, int]
		want   string // empty: it can
	}{
		{"nil", nil, "the loader is nil"},
		{"a nil pointer", (*grand)(nil), "the loader is a nil *loader_test.grand"},
		{"a nil *Funcs", (*funcs)(nil), "the loader is a nil *loader.Funcs[string,int]"},
		{"a Func of nil", loader.Func[string, int](nil), "the loader is a nil loader.loadFunc[string,int]"},
		{"an empty Funcs", funcs{}, "LoadFunc of loader.Funcs[string,int] is nil"},
		{"an empty *Funcs", &funcs{}, "LoadFunc of loader.Funcs[string,int] is nil"},
		{"a Funcs that only initialises", funcs{InitFunc: every.InitFunc}, "LoadFunc of loader.Funcs[string,int] is nil"},
		{"a plain type", plain{}, ""},
		{"a pointer", &grand{}, ""},
		{"a nil map that loads", nilMap(nil), ""},
		{"a Func", loader.Func(plain{}.Load), ""},
		{"a Funcs with LoadFunc", funcs{LoadFunc: every.LoadFunc}, ""},
		{"a *Funcs with LoadFunc", &funcs{LoadFunc: every.LoadFunc}, ""},
		{"a Funcs with LoadRelatedFunc alone", funcs{LoadRelatedFunc: every.LoadRelatedFunc}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := loader.Check(tt.loader)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
		})
	}
}

// nilMap is a loader that works as nil.
type nilMap map[string]int

func (m nilMap) Load(_ context.Context, key string) (int, error) { return m[key], nil }
