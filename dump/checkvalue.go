package dump

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"time"
	"unicode/utf8"
)

// look finds what only the value shows: that it goes round in circles or too deep,
// which would end the process and not just the call, and that it holds something
// which is silently written as something else.
func (d *dialect) look(sh *shape, v reflect.Value, level int) error {
	if d.passes(sh, level) {
		return nil
	}
	level += sh.ownLevel()
	if level > d.levels {
		return fmt.Errorf("more than %d levels deep, or it contains itself", d.levels)
	}
	switch sh.form {
	case text, number:
		return d.lookText(v)
	case instant:
		return d.lookInstant(v)
	case pointer:
		return d.lookPointer(sh, v, level)
	case list:
		return d.lookList(sh, v, level)
	case table:
		return d.lookTable(sh, v, level)
	case record:
		return d.lookRecord(sh, v, level)
	case open:
		return d.lookOpen(v, level)
	default:
		return nil
	}
}

// passes says whether a value needs no look, this deep.
func (d *dialect) passes(sh *shape, level int) bool {
	return !sh.looks && level+sh.levels <= d.levels
}

func (d *dialect) lookText(v reflect.Value) error {
	if s := v.String(); !utf8.ValidString(s) {
		return fmt.Errorf("%.40q is not valid UTF-8", s)
	}
	return nil
}

// lookInstant is for codecs that write the time of a zone and its offset in minutes.
func (d *dialect) lookInstant(v reflect.Value) error {
	if d.zeroTimeIsNull {
		return nil
	}
	t, ok := v.Interface().(time.Time)
	if !ok {
		return nil
	}
	if _, offset := t.Zone(); offset%60 != 0 {
		return fmt.Errorf("the offset of %v has seconds, which are not written: use UTC", t)
	}
	return nil
}

func (d *dialect) lookPointer(sh *shape, v reflect.Value, level int) error {
	if v.IsNil() {
		return nil
	}
	if d.zeroTimeIsNull && sh.elem.form == instant {
		if t, ok := v.Elem().Interface().(time.Time); ok && t.IsZero() {
			return errors.New("a pointer to the zero time would come back nil")
		}
	}
	return d.look(sh.elem, v.Elem(), level)
}

func (d *dialect) lookList(sh *shape, v reflect.Value, level int) error {
	for i := range v.Len() {
		if err := d.look(sh.elem, v.Index(i), level); err != nil {
			return err
		}
	}
	return nil
}

func (d *dialect) lookTable(sh *shape, v reflect.Value, level int) error {
	for entries := v.MapRange(); entries.Next(); {
		if err := d.look(sh.key, entries.Key(), level); err != nil {
			return err
		}
		if err := d.look(sh.elem, entries.Value(), level); err != nil {
			return err
		}
	}
	return nil
}

func (d *dialect) lookRecord(sh *shape, v reflect.Value, level int) error {
	for i := range sh.parts {
		p := &sh.parts[i]
		if d.passes(p.shape, level) {
			continue
		}
		field, ok := p.of(v)
		if !ok {
			continue
		}
		if err := d.look(p.shape, field, level); err != nil {
			return err
		}
	}
	return nil
}

// of returns the field, and false if an embedded pointer on the way to it is nil.
func (p *part) of(v reflect.Value) (reflect.Value, bool) {
	for _, i := range p.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

func (d *dialect) lookOpen(v reflect.Value, level int) error {
	if v.IsNil() {
		return nil
	}
	held := v.Elem()
	p := d.plan(held.Type())
	if p.impossible != "" {
		return errors.New(p.impossible)
	}
	return d.look(p.shape, held, level)
}

// same says whether b, decoded from the encoding of a, is what a was. Times are the
// same if they are one instant, NaNs are the same, and what encodes itself is the
// same if it encodes itself the same.
func (d *dialect) same(sh *shape, a, b reflect.Value) bool {
	switch sh.form {
	case instant:
		return sameInstant(a, b)
	case bignum:
		return addressed(a).(*big.Int).Cmp(addressed(b).(*big.Int)) == 0
	case custom:
		return d.sameCustom(sh, a, b)
	case pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return d.same(sh.elem, a.Elem(), b.Elem())
	case list:
		return d.sameList(sh, a, b)
	case table:
		return d.sameTable(sh, a, b)
	case record:
		return d.sameRecord(sh, a, b)
	default:
		return samePlain(a, b)
	}
}

func sameInstant(a, b reflect.Value) bool {
	s, ok := a.Interface().(time.Time)
	t, also := b.Interface().(time.Time)
	return ok && also && s.Equal(t)
}

func samePlain(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Slice:
		return a.IsNil() == b.IsNil() && bytes.Equal(a.Bytes(), b.Bytes())
	default:
		return a.Equal(b)
	}
}

// sameCustom also asks for deep equality: an encoding may be in any order, if the
// type writes a map.
func (d *dialect) sameCustom(sh *shape, a, b reflect.Value) bool {
	first, err := sh.pair.marshal(addressed(a))
	if err != nil {
		return false
	}
	second, err := sh.pair.marshal(addressed(b))
	if err != nil {
		return false
	}
	return bytes.Equal(first, second) || reflect.DeepEqual(a.Interface(), b.Interface())
}

// addressed returns a pointer to v, or to a copy.
func addressed(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

func (d *dialect) sameList(sh *shape, a, b reflect.Value) bool {
	if a.Len() != b.Len() || a.Kind() == reflect.Slice && a.IsNil() != b.IsNil() {
		return false
	}
	for i := range a.Len() {
		if !d.same(sh.elem, a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

// sameTable compares entry by entry if the keys can be found again, and else, keys
// being times or worse, the encodings, which are sorted.
func (d *dialect) sameTable(sh *shape, a, b reflect.Value) bool {
	if a.Len() != b.Len() || a.IsNil() != b.IsNil() {
		return false
	}
	if !sh.key.distinct() || sh.key.holdsFloat() {
		first, err := d.appendTo(nil, addressed(a))
		if err != nil {
			return false
		}
		second, err := d.appendTo(nil, addressed(b))
		return err == nil && bytes.Equal(first, second)
	}
	for entries := a.MapRange(); entries.Next(); {
		found := b.MapIndex(entries.Key())
		if !found.IsValid() || !d.same(sh.elem, entries.Value(), found) {
			return false
		}
	}
	return true
}

func (sh *shape) holdsFloat() bool {
	kind := sh.typ.Kind()
	holds := kind == reflect.Float32 || kind == reflect.Float64
	sh.eachPart(func(inner *shape) { holds = holds || inner.holdsFloat() })
	return holds
}

func (d *dialect) sameRecord(sh *shape, a, b reflect.Value) bool {
	for i := range sh.parts {
		p := &sh.parts[i]
		first, ok := p.of(a)
		second, also := p.of(b)
		if ok != also {
			return false
		}
		if !ok || p.optional && second.IsZero() { // left out, as its tag asks
			continue
		}
		if !d.same(p.shape, first, second) {
			return false
		}
	}
	return true
}
