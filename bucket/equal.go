package bucket

import (
	"context"
	"fmt"
	"reflect"

	"github.com/dataworker-go/dataworker/loader"
)

// Equal sets when a value is taken for the one that was there before. Then an entry is renewed
// and not replaced: nothing is written to the file, and no watcher is told.
//
// The default is == where that says all there is to say, and [reflect.DeepEqual] otherwise; a NaN
// equals a NaN, unless it is the key of a map.
//
// The function is called by many goroutines, also in the actor's turn, so it must not block. If it
// panics, or does not return in the [LoadTimeout], the load has failed for which the values are
// compared; of values that a caller writes, it counts as a change. A function for another type than
// that of the values is an [ErrConfig] of the start.
func Equal[V any](equal func(a, b V) bool) Option {
	return func(c *Config) { c.Equal = equal }
}

// equalityOf returns how a bucket compares its values: as its configuration says, or by itself.
func equalityOf[V any](config *Config, standard func(a, b V) bool) (func(a, b V) bool, error) {
	if config.Equal == nil {
		return standard, nil
	}
	equal, ok := config.Equal.(func(a, b V) bool)
	if !ok || equal == nil {
		return nil, fmt.Errorf("%w: Equal(%T): give a func(a, b %v) bool that is not nil",
			ErrConfig, config.Equal, reflect.TypeFor[V]())
	}
	return equal, nil
}

// equalSafely is equal for the actor's turn, which a function of the user's must not end.
func (r *run[K, V]) equalSafely(a, b V) bool {
	config := r.config.Load()
	if config.Equal == nil {
		return r.equal(a, b)
	}
	equal, err := loader.Call(r.ctx, config.LoadTimeout, func(context.Context) (bool, error) { return r.equal(a, b), nil })
	return equal && err == nil
}

// equality returns how values of type V are compared if the user does not say: by == where that
// says all, else by reflect.DeepEqual. Pointers are equal if what they point to is. One NaN is taken
// for another.
func equality[V any]() func(a, b V) bool {
	t := reflect.TypeFor[V]()
	equal := func(a, b V) bool { return any(a) == any(b) }
	if !isFlat(t) {
		equal = func(a, b V) bool { return reflect.DeepEqual(a, b) }
	}
	if !holdsFloats(t, map[reflect.Type]bool{}) {
		return equal
	}
	return func(a, b V) bool { return equal(a, b) || alikeValues(a, b) }
}

// alikeValues is apart, so that what it puts on the heap costs nothing where it is not called.
//
//go:noinline
func alikeValues[V any](a, b V) bool {
	return alike(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem(), map[visit]bool{})
}

// holdsFloats says whether there may be a NaN somewhere in a value of type t.
func holdsFloats(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128, reflect.Interface:
		return true
	case reflect.Array, reflect.Slice, reflect.Pointer:
		return holdsFloats(t.Elem(), seen)
	case reflect.Map:
		return holdsFloats(t.Elem(), seen) // a NaN among the keys is never found again
	case reflect.Struct:
		for field := range t.Fields() {
			if holdsFloats(field.Type, seen) {
				return true
			}
		}
	}
	return false
}

// visit is a comparison under way, of two things that may contain themselves.
type visit struct {
	a, b uintptr
	n    int // elements of a slice
	t    reflect.Type
}

// alike is reflect.DeepEqual, but that it takes one NaN for another.
func alike(a, b reflect.Value, seen map[visit]bool) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || a.Float() != a.Float() && b.Float() != b.Float()
	case reflect.Complex64, reflect.Complex128:
		return alikeComplex(a.Complex(), b.Complex())
	case reflect.Array:
		return alikeElements(a, b, seen)
	case reflect.Struct:
		for i := range a.NumField() {
			if !alike(a.Field(i), b.Field(i), seen) {
				return false
			}
		}
		return true
	case reflect.Interface:
		return alike(a.Elem(), b.Elem(), seen)
	case reflect.Func:
		return a.IsNil() && b.IsNil()
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return alikeBehind(a, b, seen)
	case reflect.Invalid:
		return true
	default:
		return a.Equal(b)
	}
}

func alikeComplex(x, y complex128) bool {
	same := func(a, b float64) bool { return a == b || a != a && b != b }
	return same(real(x), real(y)) && same(imag(x), imag(y))
}

// alikeBehind compares what a slice, a map or a pointer leads to.
func alikeBehind(a, b reflect.Value, seen map[visit]bool) bool {
	if a.IsNil() != b.IsNil() || a.Kind() != reflect.Pointer && a.Len() != b.Len() {
		return false
	}
	v := visit{a: a.Pointer(), b: b.Pointer(), t: a.Type()}
	if a.Kind() == reflect.Slice {
		v.n = a.Len()
	}
	if a.IsNil() || seen[v] {
		return true
	}
	seen[v] = true
	switch a.Kind() {
	case reflect.Slice:
		return alikeElements(a, b, seen)
	case reflect.Pointer:
		return alike(a.Elem(), b.Elem(), seen)
	}
	for pairs := a.MapRange(); pairs.Next(); {
		other := b.MapIndex(pairs.Key())
		if !other.IsValid() || !alike(pairs.Value(), other, seen) {
			return false
		}
	}
	return true
}

func alikeElements(a, b reflect.Value, seen map[visit]bool) bool {
	for i := range a.Len() {
		if !alike(a.Index(i), b.Index(i), seen) {
			return false
		}
	}
	return true
}

// isFlat says whether a value of type t is all there is to it.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if !isFlat(field.Type) {
				return false
			}
		}
		return true
	case reflect.Interface, reflect.Pointer, reflect.UnsafePointer, reflect.Slice, reflect.Map, reflect.Chan, reflect.Func:
		return false
	default:
		return true
	}
}
