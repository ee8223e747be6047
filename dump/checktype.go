package dump

import (
	"fmt"
	"reflect"
)

// A dialect is what the walks over types and values have to know of a codec that
// goes by reflection.
type dialect struct {
	name   string
	tags   []string // the struct tags it reads; the first that is there counts
	levels int      // arrays and maps within one another that it reads back

	// special says of a type that the codec knows by itself what form it has.
	special func(t reflect.Type) (form, bool)

	// methods are the pairs by which a type encodes itself, in the order in which
	// the codec looks for them.
	methods []methodPair

	// byteString says whether a slice or an array is written as one string of bytes.
	byteString func(t reflect.Type) bool

	// refuses says what is wrong with t, of which the codec can carry nothing.
	refuses func(t reflect.Type) string

	// refusesKey is the same for the keys of a map.
	refusesKey func(t reflect.Type) string

	// fieldName is the name that a tag asks for, "" if it asks for none.
	fieldName func(tag string) string

	layouts        bool // tags can ask for arrays, and for integers as names
	stringForm     form // text, if the bytes of a string matter
	zeroTimeIsNull bool // so that a pointer to it comes back nil

	appendTo func(into []byte, value any) ([]byte, error)
	read     func(p *plan, encoded []byte, value any) error

	plans plans
}

// methodPair is a way for a type to encode itself.
type methodPair struct {
	marshaler, unmarshaler reflect.Type
	method, inverse        string

	// marshal calls the method of *value, which has it.
	marshal func(value any) ([]byte, error)
}

// A form is how the walks treat a type.
type form uint8

const (
	plain   form = iota // comes back as it is, whatever it is
	text                // a string that may not be valid UTF-8
	number              // a string that is written as a number
	instant             // a time.Time
	bignum              // a big.Int that the codec carries itself
	custom              // encodes itself
	pointer
	list   // a slice or an array
	table  // a map
	record // a struct
	open   // an interface: holds anything
)

// A shape is a type as a codec sees it: only the parts that are written.
type shape struct {
	typ     reflect.Type
	form    form
	pair    *methodPair // of a custom
	elem    *shape      // of a pointer, list or table
	key     *shape      // of a table
	parts   []part      // of a record
	partial bool        // a record of which some fields are not written

	looks   bool // values need a look before they are encoded
	proves  bool // only decoding shows that a value comes back
	bignums bool // holds, or may hold, numbers of any length
	levels  int  // arrays and maps within one another, if it does not contain itself
	sized   bool // levels is known
}

// A part is a field of a record; index leads to it through embedded structs.
type part struct {
	*shape
	index    []int
	optional bool // left out when empty
}

// A survey is one walk over a type and all that it is made of.
type survey struct {
	*dialect
	shapes map[reflect.Type]*shape
	path   []*shape     // from the root to the type at hand
	tables []foundTable // whose keys are looked at when everything is known

	refusal    string // the first reason why values would not come back as they were
	impossible string // the first reason why they cannot be encoded at all
}

type foundTable struct {
	*shape
	keyPath string
}

// surveyed walks over t.
func (d *dialect) surveyed(t reflect.Type) *plan {
	s := &survey{dialect: d, shapes: make(map[reflect.Type]*shape)}
	root := s.shape(t, typeName(t))
	for _, found := range s.tables {
		s.checkKey(found.key, found.keyPath)
		found.proves = !found.key.distinct()
	}
	s.spread()
	s.measure()
	return &plan{shape: root, refusal: s.refusal, impossible: s.impossible}
}

func typeName(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

func (s *survey) refuse(path, why string) {
	if s.refusal == "" {
		s.refusal = path + ": " + why
	}
}

func (s *survey) cannot(path, why string) {
	s.refuse(path, why)
	if s.impossible == "" {
		s.impossible = path + ": " + why
	}
}

// shape surveys t, which was found at path.
func (s *survey) shape(t reflect.Type, path string) *shape {
	if known := s.shapes[t]; known != nil {
		s.markLoop(known)
		return known
	}
	sh := &shape{typ: t}
	s.shapes[t] = sh
	s.path = append(s.path, sh)
	defer func() { s.path = s.path[:len(s.path)-1] }()

	if special, ok := s.special(t); ok {
		sh.form = special
	} else if !s.customShape(sh, path) {
		s.builtIn(sh, path)
	}
	sh.looks = sh.looks || s.needsLook(sh.form)
	sh.proves = sh.form == custom || sh.form == open || sh.form == number
	sh.bignums = sh.form == bignum || sh.form == custom || sh.form == open
	return sh
}

// markLoop notes that a type contains itself if known is being surveyed just now.
// Its values can be of any depth, and can go round in circles.
func (s *survey) markLoop(known *shape) {
	for _, above := range s.path {
		if above == known {
			known.looks = true
		}
	}
}

func (s *survey) needsLook(f form) bool {
	return f == text || f == number || f == open || f == instant && !s.zeroTimeIsNull
}

// customShape fills in sh if values of its type encode themselves.
func (s *survey) customShape(sh *shape, path string) bool {
	if sh.typ.Kind() == reflect.Pointer || sh.typ.Kind() == reflect.Interface {
		return false
	}
	out, in := s.pairs(sh.typ)
	switch {
	case out == nil && in == nil:
		return false
	case in == nil || out != nil && out != in:
		s.refuse(path, fmt.Sprintf("has %s but not %s, which would read it: write that", out.method, out.inverse))
	case out == nil:
		s.refuse(path, fmt.Sprintf("has %s but not %s, which would write for it: write that", in.inverse, in.method))
	case hasOthers(sh.typ) && (promoted(sh.typ, out.method) || promoted(sh.typ, out.inverse)):
		s.refuse(path, fmt.Sprintf("has its %s from an embedded field, and only that field would be kept: name the field", out.method))
	}
	if out == nil {
		return false
	}
	sh.form, sh.pair = custom, out
	return true
}

// pairs returns the pair that writes t and the one that reads it.
func (d *dialect) pairs(t reflect.Type) (out, in *methodPair) {
	for i := range d.methods {
		pair := &d.methods[i]
		if out == nil && reflect.PointerTo(t).Implements(pair.marshaler) {
			out = pair
		}
		if in == nil && reflect.PointerTo(t).Implements(pair.unmarshaler) {
			in = pair
		}
	}
	return out, in
}

// builtIn fills in sh for a type without methods that matter.
func (s *survey) builtIn(sh *shape, path string) {
	t := sh.typ
	if why := s.refuses(t); why != "" {
		s.cannot(path, why)
		return
	}
	switch t.Kind() {
	case reflect.String:
		sh.form = s.stringForm
	case reflect.Slice, reflect.Array:
		if s.byteString(t) {
			return
		}
		sh.form = list
		sh.elem = s.shape(t.Elem(), path+"[]")
	case reflect.Map:
		sh.form = table
		sh.key = s.shape(t.Key(), path+"[key]")
		sh.elem = s.shape(t.Elem(), path+"[]")
		s.tables = append(s.tables, foundTable{sh, path + "[key]"})
	case reflect.Pointer:
		s.pointer(sh, path)
	case reflect.Interface:
		sh.form = open
		s.refuse(path, "an interface does not say what to decode: use a concrete type")
	case reflect.Struct:
		s.record(sh, path)
	default: // a number or a bool
	}
}

func (s *survey) checkKey(key *shape, path string) {
	if why := s.refusesKey(key.typ); why != "" {
		s.cannot(path, why)
		return
	}
	if key.holdsPointer() {
		s.refuse(path, "a pointer as a key would come back as another pointer: use what it points to")
	}
}

func (sh *shape) holdsPointer() bool {
	switch sh.form {
	case pointer:
		return true
	case list:
		return sh.elem.holdsPointer()
	case record:
		for _, p := range sh.parts {
			if p.holdsPointer() {
				return true
			}
		}
	}
	return false
}

// distinct says whether two keys that differ are certain to be encoded differently.
func (sh *shape) distinct() bool {
	switch sh.form {
	case plain, text:
		return true
	case list:
		return sh.elem.distinct()
	case record:
		for _, p := range sh.parts {
			if !p.distinct() {
				return false
			}
		}
		return !sh.partial
	default:
		return false
	}
}

func (s *survey) pointer(sh *shape, path string) {
	sh.form = pointer
	t := sh.typ.Elem()
	if endless(t) {
		s.cannot(path, "a pointer to itself holds nothing")
		sh.form = plain
		return
	}
	sh.elem = s.shape(t, path)
	if sh.elem.form == custom {
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		s.refuse(path, fmt.Sprintf("a pointer to a nil %s would come back as a nil pointer: use %v", t.Kind(), t))
	default:
	}
	sh.looks = sh.looks || s.zeroTimeIsNull && sh.elem.form == instant
}

// endless says whether t is a pointer that only leads to itself.
func endless(t reflect.Type) bool {
	seen := make(map[reflect.Type]bool)
	for t.Kind() == reflect.Pointer {
		if seen[t] {
			return true
		}
		seen[t] = true
		t = t.Elem()
	}
	return false
}

// spread lets what is true of a part be true of the whole. Types that contain
// themselves make it go round until nothing changes.
func (s *survey) spread() {
	for changed := true; changed; {
		changed = false
		for _, sh := range s.shapes {
			before := [...]bool{sh.looks, sh.proves, sh.bignums}
			sh.eachPart(func(inner *shape) {
				sh.looks = sh.looks || inner.looks
				sh.proves = sh.proves || inner.proves
				sh.bignums = sh.bignums || inner.bignums
			})
			changed = changed || before != [...]bool{sh.looks, sh.proves, sh.bignums}
		}
	}
}

func (sh *shape) eachPart(f func(*shape)) {
	if sh.key != nil {
		f(sh.key)
	}
	if sh.elem != nil {
		f(sh.elem)
	}
	for _, p := range sh.parts {
		f(p.shape)
	}
}

// measure counts the levels of the shapes that values are not looked at. None of
// them contains itself: a loop has a shape that looks, and so all of it does.
func (s *survey) measure() {
	for _, sh := range s.shapes {
		if !sh.looks {
			sh.measured()
		}
	}
}

func (sh *shape) measured() int {
	if sh.sized {
		return sh.levels
	}
	deepest := 0
	sh.eachPart(func(inner *shape) { deepest = max(deepest, inner.measured()) })
	sh.levels, sh.sized = deepest+sh.ownLevel(), true
	return sh.levels
}

func (sh *shape) ownLevel() int {
	if sh.form == list || sh.form == table || sh.form == record {
		return 1
	}
	return 0
}
