package dump

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// Binary returns the codec "binary/1", for types that encode themselves, they or
// pointers to them: by [encoding.BinaryAppender] or [encoding.BinaryMarshaler], and
// [encoding.BinaryUnmarshaler].
//
// Every value is decoded when it is written, and refused if it would not come back,
// or would then neither encode itself the same nor be deeply equal. A nil pointer is
// refused.
func Binary() Codec { return binaryCodec{} }

type binaryCodec struct{ waived bool }

// A binaryPlan is how values of a type are encoded.
type binaryPlan struct {
	refusal    string
	impossible string
	behind     bool // the methods are those of what the type points to
	appends    bool // AppendBinary is the type's own
}

var binaryPlans sync.Map // from reflect.Type to *binaryPlan

// Name implements Codec.
func (binaryCodec) Name() string { return "binary/1" }

// CheckType implements Codec.
func (c binaryCodec) CheckType(t reflect.Type) error {
	if t == nil {
		return fmt.Errorf("%w: no type", ErrType)
	}
	p := binaryPlanFor(t)
	switch {
	case p.impossible != "":
		return fmt.Errorf("%w: binary/1: %v %s", ErrType, t, p.impossible)
	case p.refusal != "" && !c.waived:
		return fmt.Errorf("%w: binary/1: %v %s", ErrType, t, p.refusal)
	default:
		return nil
	}
}

func binaryPlanFor(t reflect.Type) *binaryPlan {
	if known, ok := binaryPlans.Load(t); ok {
		return known.(*binaryPlan) // nothing else is stored
	}
	known, _ := binaryPlans.LoadOrStore(t, newBinaryPlan(t))
	return known.(*binaryPlan) // nothing else is stored
}

func newBinaryPlan(t reflect.Type) *binaryPlan {
	p := &binaryPlan{}
	if t.Kind() == reflect.Pointer {
		p.behind = true
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		p.impossible = "does not say what to decode: use a concrete type"
		return p
	}
	methods := reflect.PointerTo(t)
	appends := methods.Implements(reflect.TypeFor[encoding.BinaryAppender]())
	marshals := methods.Implements(binaryMethods.marshaler)
	p.appends = appends && (!marshals || !promoted(t, "AppendBinary") || promoted(t, "MarshalBinary"))
	method := "MarshalBinary"
	if p.appends {
		method = "AppendBinary"
	}
	switch {
	case !appends && !marshals:
		p.impossible = "has neither AppendBinary nor MarshalBinary: write one, or choose another codec"
	case !methods.Implements(binaryMethods.unmarshaler):
		p.impossible = "has no UnmarshalBinary: write it, or choose another codec"
	case hasOthers(t) && (promoted(t, method) || promoted(t, "UnmarshalBinary")):
		p.refusal = "has its " + method + " from an embedded field, and only that field would be kept: name the field"
	}
	return p
}

// Encode implements Codec.
func (c binaryCodec) Encode(into []byte, value any) (longer []byte, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			longer, err = into, notEncodedBinary(fmt.Errorf("panic: %v", broken))
		}
	}()
	t, err := pointedTo(value)
	if err != nil {
		return into, notEncodedBinary(err)
	}
	if err = c.CheckType(t); err != nil {
		return into, notEncodedBinary(err)
	}
	p := binaryPlanFor(t)
	encoded, err := p.encode(into[len(into):], value)
	if err != nil {
		return into, notEncodedBinary(err)
	}
	if err = c.prove(p, t, encoded, value); err != nil {
		return into, notEncodedBinary(err)
	}
	return append(into, encoded...), nil // often they are there already
}

func notEncodedBinary(err error) error {
	return fmt.Errorf("%w: binary/1: %w", ErrEncode, err)
}

func (p *binaryPlan) encode(into []byte, value any) ([]byte, error) {
	if p.behind {
		target := reflect.ValueOf(value).Elem()
		if target.IsNil() {
			return nil, errors.New("a nil pointer")
		}
		value = target.Interface()
	}
	if p.appends {
		return value.(encoding.BinaryAppender).AppendBinary(into)
	}
	return value.(encoding.BinaryMarshaler).MarshalBinary()
}

func (c binaryCodec) prove(p *binaryPlan, t reflect.Type, encoded []byte, value any) error {
	back := reflect.New(t)
	if err := p.decode(encoded, back.Interface()); err != nil {
		return fmt.Errorf("it would not be decoded: %w", err)
	}
	if c.waived {
		return nil
	}
	again, err := p.encode(nil, back.Interface())
	if err != nil {
		return fmt.Errorf("it would come back changed: %w", err)
	}
	if !bytes.Equal(again, encoded) && !reflect.DeepEqual(back.Interface(), value) {
		return errors.New("it would come back changed")
	}
	return nil
}

// Decode implements Codec.
func (c binaryCodec) Decode(encoded []byte, value any) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("binary/1: panic: %v", broken)
		}
	}()
	t, err := pointedTo(value)
	if err != nil {
		return fmt.Errorf("binary/1: %w", err)
	}
	if err = c.CheckType(t); err != nil {
		return err
	}
	if err = binaryPlanFor(t).decode(encoded, value); err != nil {
		return fmt.Errorf("binary/1: %w", err)
	}
	return nil
}

func (p *binaryPlan) decode(encoded []byte, value any) error {
	if p.behind {
		target := reflect.ValueOf(value).Elem()
		target.Set(reflect.New(target.Type().Elem()))
		value = target.Interface()
	}
	return value.(encoding.BinaryUnmarshaler).UnmarshalBinary(encoded)
}
