package dump

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCodecFor_takes_the_chosen_one_or_the_fastest_that_fits(t *testing.T) {
	tests := []struct {
		typ    reflect.Type
		chosen Codec
		want   string
	}{
		{reflect.TypeFor[string](), nil, "raw/1"},
		{reflect.TypeFor[[]byte](), nil, "raw/1"},
		{reflect.TypeFor[[16]byte](), nil, "raw/1"},
		{reflect.TypeFor[reflect.Kind](), nil, "raw/1"},
		{reflect.TypeFor[[]string](), nil, "cbor/1"},
		{reflect.TypeFor[struct{ A int }](), nil, "cbor/1"},
		{reflect.TypeFor[chan int](), nil, "cbor/1"}, // whose CheckType says what is wrong
		{reflect.TypeFor[string](), JSON(), "json/1"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, CodecFor(tt.typ, tt.chosen).Name(), tt.typ)
	}
}
