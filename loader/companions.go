package loader

import (
	"errors"
	"fmt"
	"reflect"
)

// Companions is what a loader can do beyond Load. A field is nil where the
// companion is absent.
type Companions[K comparable, V any] struct {
	Initializer   Initializer[K, V]
	RelatedLoader RelatedLoader[K, V]
	BatchLoader   BatchLoader[K, V]
	AllLoader     AllLoader[K, V]
	Reloader      Reloader[K, V]
	RefreshFilter RefreshFilter[K, V]
}

// CompanionsOf finds the companions of l: the fields of a [Funcs] that are
// set, and the interfaces that any other loader implements.
func CompanionsOf[K comparable, V any](l Loader[K, V]) Companions[K, V] {
	switch l := l.(type) {
	case Funcs[K, V]:
		return l.companions()
	case *Funcs[K, V]:
		return l.companions()
	}

	var c Companions[K, V]
	c.Initializer, _ = l.(Initializer[K, V])
	c.RelatedLoader, _ = l.(RelatedLoader[K, V])
	c.BatchLoader, _ = l.(BatchLoader[K, V])
	c.AllLoader, _ = l.(AllLoader[K, V])
	c.Reloader, _ = l.(Reloader[K, V])
	c.RefreshFilter, _ = l.(RefreshFilter[K, V])
	return c
}

// Check says why l cannot be used as a loader: it is nil, it is a nil pointer or
// function in the interface, or it is a [Funcs] that cannot load. A usable
// loader gives nil.
func Check[K comparable, V any](l Loader[K, V]) error {
	if l == nil {
		return errors.New("the loader is nil")
	}
	switch v := reflect.ValueOf(l); v.Kind() {
	case reflect.Pointer, reflect.Func:
		if v.IsNil() {
			return fmt.Errorf("the loader is a nil %T", l)
		}
	}

	var f Funcs[K, V]
	switch l := l.(type) {
	case Funcs[K, V]:
		f = l
	case *Funcs[K, V]:
		f = *l
	default:
		return nil
	}
	if f.LoadFunc == nil && f.LoadRelatedFunc == nil {
		return fmt.Errorf("LoadFunc of %T is nil", f)
	}
	return nil
}
