package bucket

import (
	"fmt"
	"reflect"
)

// keyRule knows which keys of type K can be used. Most types have no other: then
// both fields are false and a check costs nothing.
type keyRule[K comparable] struct {
	// dynamic: K is or contains an interface, so a key may hold something that
	// cannot be hashed; a look-up with it would panic.
	dynamic bool

	// selfish: K is or contains a floating-point number, so a key may be unlike
	// itself (NaN): it would be saved again and again and never found.
	selfish bool
}

func newKeyRule[K comparable]() keyRule[K] {
	var rule keyRule[K]
	rule.study(reflect.TypeFor[K]())
	return rule
}

func (rule *keyRule[K]) study(t reflect.Type) {
	switch t.Kind() {
	case reflect.Interface:
		rule.dynamic, rule.selfish = true, true
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		rule.selfish = true
	case reflect.Array:
		rule.study(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			rule.study(field.Type)
		}
	}
}

// hashable is what a look-up needs.
func (rule keyRule[K]) hashable(key K) bool {
	return !rule.dynamic || canHash(key)
}

// canHash is a function of its own because key escapes in it: it would cost every
// look-up an allocation.
func canHash[K comparable](key K) bool { return reflect.ValueOf(&key).Elem().Comparable() }

// check is what a save needs: an ErrKeyType tells what is wrong with key.
func (rule keyRule[K]) check(key K) error {
	if !rule.hashable(key) {
		return fmt.Errorf("%w: a %T cannot be a map key: use a type that can be compared", ErrKeyType, key)
	}
	if rule.selfish && key != key { //nolint:gocritic // true for NaN
		return fmt.Errorf("%w: %v is not equal to itself, so it could never be found again", ErrKeyType, key)
	}
	return nil
}

// asKey turns the key of a message into a K.
func asKey[K comparable](key any) (K, error) {
	typed, ok := key.(K)
	if !ok && !isNilInterface[K](key) {
		return typed, fmt.Errorf("%w: got %T, want %s", ErrKeyType, key, reflect.TypeFor[K]())
	}
	return typed, nil
}

// asValue turns the value of a message into a V.
func asValue[V any](value any) (V, error) {
	typed, ok := value.(V)
	if !ok && !isNilInterface[V](value) {
		return typed, fmt.Errorf("%w: got %T, want %s", ErrValueType, value, reflect.TypeFor[V]())
	}
	return typed, nil
}

// isNilInterface: an untyped nil is a good any, but fails the assertion to it.
func isNilInterface[T any](v any) bool {
	return v == nil && reflect.TypeFor[T]().Kind() == reflect.Interface
}
