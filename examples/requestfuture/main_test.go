package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequestFuture_shows_an_answer_to_every_message(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	assert.Equal(t, `bucket.Fetch   {Key:Neptune NoSave:false}  ▶ bucket.Found   {Value:16 Loaded:true}
bucket.Fetch   {Key:Neptune NoSave:false}  ▶ bucket.Found   {Value:16 Loaded:false}
bucket.Fetch   {Key:Sun NoSave:false}      ▶ bucket.Failed  {bucket "moons": load of key "Sun": loader: not found}
bucket.Get     {Key:Sun}                   ▶ bucket.Missing {}
bucket.Set     {Key:Sun Value:0}           ▶ bucket.Done    {}
bucket.Get     {Key:Sun}                   ▶ bucket.Found   {Value:0 Loaded:false}
bucket.Set     {Key:Mars Value:two}        ▶ bucket.Failed  {bucket "moons": unusable value: got string, want int}
bucket.Fetch   {Key:4 NoSave:false}        ▶ bucket.Failed  {bucket "moons": unusable key: got int, want string}
`, out.String())
}
