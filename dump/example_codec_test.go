package dump_test

import (
	"fmt"
	"reflect"

	"github.com/dataworker-go/dataworker/dump"
)

// A codec says beforehand what it would lose, where, and what to do about it.
func ExampleCodec_unexportedField() {
	type Part struct {
		Name  string
		price int
	}
	type Widget struct{ Parts []Part }
	_ = Part{price: 1}

	fmt.Println(dump.CBOR().CheckType(reflect.TypeFor[Widget]()))
	fmt.Println(dump.Unchecked(dump.CBOR()).CheckType(reflect.TypeFor[Widget]()))
	// Output:
	// type cannot be dumped: cbor/1: Widget.Parts[].price: unexported, and would be lost: export it, or tag it `cbor:"-"` if it may be
	// <nil>
}

// JSON makes a file that people can read. It refuses what it would change.
func ExampleJSON() {
	type Region struct {
		Name   string   `json:"name"`
		Cities []string `json:"cities"`
	}
	codec := dump.JSON()

	line, err := codec.Encode(nil, &Region{"Bergslagen", []string{"Nora", "Filipstad"}})
	fmt.Printf("%s %v\n", line, err)

	var back Region
	fmt.Println(codec.Decode(line, &back), back.Cities)

	_, err = codec.Encode(nil, &Region{Name: "\xff"})
	fmt.Println(err)
	// Output:
	// {"name":"Bergslagen","cities":["Nora","Filipstad"]} <nil>
	// <nil> [Nora Filipstad]
	// value cannot be dumped: json/1: "\xff" is not valid UTF-8
}
