package dump

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// record fills in sh for a struct.
func (s *survey) record(sh *shape, path string) {
	sh.form = record
	fields := &fieldWalk{
		survey: s, record: sh,
		byName:   make(map[string]string),
		embedded: map[reflect.Type]bool{sh.typ: true},
	}
	if blank, ok := sh.typ.FieldByName("_"); ok && s.layouts {
		_, options, _ := strings.Cut(blank.Tag.Get("cbor"), ",")
		fields.asArray = hasOption(options, "toarray")
		if hasOption(options, "toindefarray") {
			s.cannot(path, `"toindefarray" is not carried: use "toarray"`)
		}
	}
	fields.walk(sh.typ, path, nil)
}

// A fieldWalk collects the fields of a struct that are written, in embedded structs
// too.
type fieldWalk struct {
	*survey
	record   *shape
	asArray  bool
	byName   map[string]string     // encoded names, and where they were found
	embedded map[reflect.Type]bool // the structs whose fields are in already
}

func (w *fieldWalk) walk(t reflect.Type, path string, index []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag := w.tag(field)
		if field.Name == "_" {
			continue
		}
		if tag == "-" {
			w.record.partial = true
			continue
		}
		at := append(slices.Clip(index), i)
		w.field(field, tag, path+"."+field.Name, at)
	}
}

func (d *dialect) tag(field reflect.StructField) string {
	for _, name := range d.tags {
		if tag := field.Tag.Get(name); tag != "" {
			return tag
		}
	}
	return ""
}

func (w *fieldWalk) field(field reflect.StructField, tag, path string, index []int) {
	name := w.fieldName(tag)
	embedded := field.Type
	if embedded.Kind() == reflect.Pointer {
		embedded = embedded.Elem()
	}
	if field.Anonymous && embedded.Kind() == reflect.Struct && name == "" {
		w.embed(field, embedded, path, index)
		return
	}
	if !field.IsExported() {
		w.record.partial = true
		w.refuse(path, fmt.Sprintf("unexported, and would be lost: export it, or tag it `%s:\"-\"` if it may be", w.tags[0]))
		return
	}
	if name == "" {
		name = field.Name
	}
	_, options, _ := strings.Cut(tag, ",")
	if w.layouts && hasOption(options, "keyasint") {
		name = w.integerName(name, path)
	}
	if twin, taken := w.byName[name]; taken {
		w.refuse(path, fmt.Sprintf("is written under the name of %s, and one of them would be lost: rename one", twin))
	}
	w.byName[name] = path
	w.record.parts = append(w.record.parts, part{
		shape:    w.shape(field.Type, path),
		index:    index,
		optional: !w.asArray && (hasOption(options, "omitempty") || hasOption(options, "omitzero")),
	})
}

// integerName keeps "01" and "1" one name, and parts it from the string "1".
func (w *fieldWalk) integerName(name, path string) string {
	n, err := strconv.Atoi(name)
	if err != nil {
		w.cannot(path, fmt.Sprintf("%q is no integer: name the field by one, or drop keyasint", name))
	}
	return "\x00" + strconv.Itoa(n)
}

// embed takes in the fields of an embedded struct, which are written as those of
// the struct around it, whatever methods it has.
func (w *fieldWalk) embed(field reflect.StructField, t reflect.Type, path string, index []int) {
	if w.embedded[t] {
		w.refuse(path, "is embedded twice, and would be lost: name the field")
		return
	}
	w.embedded[t] = true
	before := len(w.record.parts)
	w.walk(t, path, index)
	if field.Type.Kind() != reflect.Pointer {
		return
	}
	switch {
	case !field.IsExported():
		w.refuse(path, "an embedded pointer to an unexported struct cannot be set: export the struct, or name the field")
	case w.asArray:
		w.refuse(path, "an embedded nil pointer in an array would come back as one to zeros: name the field")
	case allOptional(w.record.parts[before:]):
		w.refuse(path, "an embedded pointer of which every field may be left out would come back nil: name the field")
	}
}

func allOptional(parts []part) bool {
	for _, p := range parts {
		if !p.optional {
			return false
		}
	}
	return true
}

func hasOption(options, option string) bool {
	for one := range strings.SplitSeq(options, ",") {
		if one == option {
			return true
		}
	}
	return false
}
