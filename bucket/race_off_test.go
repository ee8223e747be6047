//go:build !race

package bucket_test

const raced = false
