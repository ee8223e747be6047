package dump

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// checked is a codec that goes by reflection, and the care around it: a library
// that drops, changes or chokes on something is asked about it beforehand.
type checked struct {
	*dialect
	waived bool // whether values may come back changed, as long as they come back
}

// A plan is all that is to be known of a type before a value of it is seen.
type plan struct {
	shape      *shape
	refusal    string
	impossible string
}

// plans keeps a plan for each type. There are as many as the program has types.
type plans struct{ byType sync.Map }

func (d *dialect) plan(t reflect.Type) *plan {
	if known, ok := d.plans.byType.Load(t); ok {
		return known.(*plan) // nothing else is stored
	}
	known, _ := d.plans.byType.LoadOrStore(t, d.surveyed(t))
	return known.(*plan) // nothing else is stored
}

// Name implements Codec.
func (c checked) Name() string { return c.name }

// CheckType implements Codec.
func (c checked) CheckType(t reflect.Type) error {
	if t == nil {
		return fmt.Errorf("%w: no type", ErrType)
	}
	return c.verdict(c.plan(t))
}

func (c checked) verdict(p *plan) error {
	switch {
	case p.impossible != "":
		return fmt.Errorf("%w: %s: %s", ErrType, c.name, p.impossible)
	case p.refusal != "" && !c.waived:
		return fmt.Errorf("%w: %s: %s", ErrType, c.name, p.refusal)
	default:
		return nil
	}
}

// Encode implements Codec.
func (c checked) Encode(into []byte, value any) (longer []byte, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			longer, err = into, c.notEncoded(fmt.Errorf("panic: %v", broken))
		}
	}()
	t, err := pointedTo(value)
	if err != nil {
		return into, c.notEncoded(err)
	}
	p := c.plan(t)
	if err = c.verdict(p); err != nil {
		return into, c.notEncoded(err)
	}
	if p.shape.looks {
		if err = c.look(p.shape, reflect.ValueOf(value).Elem(), 0); err != nil {
			return into, c.notEncoded(err)
		}
	}
	longer, err = c.appendTo(into, value)
	if err != nil {
		return into, c.notEncoded(err)
	}
	if err = c.prove(p, longer[len(into):], value); err != nil {
		return into, c.notEncoded(err)
	}
	return longer, nil
}

// prove decodes what was encoded, if only that shows whether it comes back.
func (c checked) prove(p *plan, encoded []byte, value any) error {
	if !p.shape.proves && p.refusal == "" {
		return nil
	}
	back := reflect.New(p.shape.typ)
	if err := c.read(p, encoded, back.Interface()); err != nil {
		return fmt.Errorf("it would not be decoded: %w", err)
	}
	if c.waived {
		return nil
	}
	if !c.same(p.shape, reflect.ValueOf(value).Elem(), back.Elem()) {
		return errors.New("it would come back changed")
	}
	return nil
}

func (c checked) notEncoded(err error) error {
	return fmt.Errorf("%w: %s: %w", ErrEncode, c.name, err)
}

// Decode implements Codec.
func (c checked) Decode(encoded []byte, value any) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%s: panic: %v", c.name, broken)
		}
	}()
	t := reflect.TypeOf(value)
	if t == nil || t.Kind() != reflect.Pointer {
		return fmt.Errorf("%s: not given a pointer but %T", c.name, value)
	}
	p := c.plan(t.Elem())
	if err = c.verdict(p); err != nil {
		return err
	}
	if err = c.read(p, encoded, value); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// pointedTo returns the type of *value.
func pointedTo(value any) (reflect.Type, error) {
	t := reflect.TypeOf(value)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(value).IsNil() {
		return nil, fmt.Errorf("not given a pointer but %T", value)
	}
	return t.Elem(), nil
}
