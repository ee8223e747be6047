//go:build race

package bucket_test

// raced says that the race detector is on. It allocates where the program does not.
const raced = true
