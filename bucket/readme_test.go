package bucket_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReadme_shows_only_code_that_runs: every snippet of the README is cut from a test
// that runs, and every output from the comment that the test is checked against.
func TestReadme_shows_only_code_that_runs(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../*/example*_test.go")
	require.NoError(t, err)
	deeper, err := filepath.Glob("../*/*/example*_test.go")
	require.NoError(t, err)
	files = append(files, deeper...)
	var sources []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		sources = append(sources, unindented(string(source)))
	}

	blocks := regexp.MustCompile("(?ms)^```(go|output)\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		want := unindented(block[2])
		if block[1] == "output" {
			want = "// " + strings.ReplaceAll(strings.TrimSuffix(want, "\n"), "\n", "\n// ")
		}
		found := false
		for _, source := range sources {
			found = found || strings.Contains(source, want)
		}
		assert.True(t, found, "no example has this:\n%s", block[2])
	}
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "")
}
