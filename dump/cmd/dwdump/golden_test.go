package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// What differs from run to run.
var (
	ids     = regexp.MustCompile(`[0-9a-f]{32}`)
	created = regexp.MustCompile(`(created +|"created": ")20[-0-9T:.]+Z( \([a-z0-9 ]+\))?`)
	pids    = regexp.MustCompile(`process \d+`)
)

func golden(t *testing.T, r result) {
	t.Helper()
	got := fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
	got = ids.ReplaceAllString(got, "<id>")
	got = created.ReplaceAllString(got, "$1<now>")
	got = pids.ReplaceAllString(got, "process <pid>")
	path := filepath.Join("testdata", filepath.Base(t.Name())+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestOutput_is_as_it_was_agreed(t *testing.T) {
	tests := []struct {
		name string
		file func(testing.TB) string // FILE in args, if there is one
		args []string
	}{
		{"help", nil, []string{"--help"}},
		{"help_nothing", nil, nil},
		{"help_info", nil, []string{"info", "-h"}},
		{"help_verify", nil, []string{"verify", "--help"}},
		{"help_list", nil, []string{"help", "list"}},
		{"help_get", nil, []string{"get", "x", "--help"}},
		{"help_export", nil, []string{"help", "export"}},
		{"help_compact", nil, []string{"help", "compact"}},
		{"help_unknown", nil, []string{"help", "repair"}},
		{"usage_unknown_command", nil, []string{"repair"}},
		{"usage_unknown_flag", nil, []string{"list", "-x", "a.dump"}},
		{"usage_missing", nil, []string{"get", "a.dump"}},
		{"usage_too_much", nil, []string{"list", "a.dump", "b.dump"}},
		{"usage_limit", nil, []string{"list", "a.dump", "-limit", "-3"}},
		{"usage_type", nil, []string{"list", "-key-type", "main.ID", "a.dump"}},

		{"info", prices, []string{"info", "FILE"}},
		{"info_json", prices, []string{"info", "-json", "FILE"}},
		{"info_not_closed", inUse, []string{"info", "FILE"}},
		{"info_shortened", shortened, []string{"info", "FILE"}},
		{"info_shortened_json", shortened, []string{"info", "FILE", "-json"}},
		{"info_foreign", foreign, []string{"info", "FILE"}},
		{"info_hostile", hostileOwner, []string{"info", "FILE"}},

		{"verify", prices, []string{"verify", "FILE"}},
		{"verify_in_use", inUse, []string{"verify", "FILE"}},
		{"verify_damaged", damaged, []string{"verify", "FILE"}},
		{"verify_torn", torn, []string{"verify", "FILE"}},
		{"verify_shortened", shortened, []string{"verify", "FILE"}},
		{"verify_slot", slotDamaged, []string{"verify", "FILE"}},
		{"verify_foreign", foreign, []string{"verify", "FILE"}},
		{"verify_newer", newer, []string{"verify", "FILE"}},
		{"verify_empty", empty, []string{"verify", "FILE"}},
		{"verify_missing", missing, []string{"verify", "FILE"}},
		{"verify_directory", directory, []string{"verify", "FILE"}},

		{"list", prices, []string{"list", "FILE"}},
		{"list_prefix", prices, []string{"list", "FILE", "-prefix", "G"}},
		{"list_limit", prices, []string{"list", "FILE", "-limit=1"}},
		{"list_history", prices, []string{"list", "-history", "FILE"}},
		{"list_history_limit", prices, []string{"list", "-history", "-limit", "2", "-prefix", "EU", "FILE"}},
		{"list_hostile", hostileKeys, []string{"list", "FILE"}},
		{"list_damaged", damaged, []string{"list", "FILE"}},
		{"list_torn", torn, []string{"list", "FILE"}},
		{"list_newer", newer, []string{"list", "FILE"}},
		{"list_other_codec", otherCodec, []string{"list", "FILE"}},
		{"list_numbers", numbers, []string{"list", "FILE"}},

		{"get", prices, []string{"get", "FILE", "EUR"}},
		{"get_deleted", prices, []string{"get", "FILE", "USD"}},
		{"get_torn", torn, []string{"get", "FILE", "USD"}},
		{"get_shortened", shortened, []string{"get", "FILE", "EUR"}},
		{"get_other_codec", otherCodec, []string{"get", "FILE", "454b"}},
		{"get_undecodable", undecodableValue, []string{"get", "FILE", "broken"}},

		{"export", prices, []string{"export", "FILE"}},
		{"export_sorted", numbers, []string{"export", "-sorted", "FILE"}},
		{"export_raw", prices, []string{"export", "-raw", "FILE"}},
		{"export_damaged", damaged, []string{"export", "FILE"}},
		{"export_undecodable", undecodableValue, []string{"export", "FILE"}},
		{"export_other_codec", otherCodec, []string{"export", "FILE"}},
		{"export_missing", missing, []string{"export", "FILE"}},

		{"compact", prices, []string{"compact", "FILE"}},
		{"compact_damaged", damaged, []string{"compact", "FILE"}},
		{"compact_foreign", foreign, []string{"compact", "FILE"}},
		{"compact_missing", missing, []string{"compact", "FILE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string(nil), tt.args...)
			for i, arg := range args {
				if arg == "FILE" {
					args[i] = tt.file(t)
				}
			}
			golden(t, ran(t, args...))
		})
	}
}

// ownCodec is a codec under another name.
type ownCodec struct {
	dump.Codec
	name string
}

func (c ownCodec) Name() string { return c.name }

func otherCodec(t testing.TB) string {
	return made(t, dump.Options{Keys: ownCodec{dump.Raw(), "mine/1"}, Values: ownCodec{dump.Raw(), "mine/1"}}, text{"EK", "1"})
}

// undecodableValue is written with what says that it is JSON, and is not.
func undecodableValue(t testing.TB) string {
	return made(t, dump.Options{Values: ownCodec{dump.Raw(), "json/1"}}, text{"good", "1"}, text{"broken", "{"})
}

func numbers(t testing.TB) string {
	return made(t, dump.Options{}, pair[int64, bool]{10, true}, pair[int64, bool]{-2, false}, pair[int64, bool]{-10, true}, pair[int64, bool]{9, true})
}

func hostileKeys(t testing.TB) string {
	return made(t, dump.Options{},
		text{"\x1b[2Jclear", "1"}, text{"c1\u009b31m", "1"}, text{"\u202egnp.exe", "1"}, text{" spaces ", "1"},
		text{"\xff\xfe", "1"}, text{`"quoted"`, "1"}, text{"", "1"}, text{"two\nlines", "1"}, text{"größe", "1"})
}

func hostileOwner(t testing.TB) string {
	return made(t, dump.Options{Name: "prices\x1b]0;owned\a"}, text{"a", "b"})
}

func foreign(t testing.TB) string {
	return written(t, []byte("%PDF-1.7\x1b[2J and so on"))
}

func empty(t testing.TB) string { return written(t, nil) }

func missing(t testing.TB) string { return filepath.Join(t.TempDir(), "prices.dump") }

func directory(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "prices.dump")
	require.NoError(t, os.Mkdir(path, 0o700))
	return path
}

func written(t testing.TB, b []byte) string {
	path := filepath.Join(t.TempDir(), "prices.dump")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// shortened has lost its end to a copy that was cut short: the deletion of USD.
func shortened(t testing.TB) string {
	return changed(t, prices(t), func(b []byte) []byte { return b[:len(b)-3] })
}
