// Package chaos kills members of a cluster, and lets them leave, while all of them are asked. Its tests
// are real processes, on loopback, over protoactor's automanaged provider.
//
// A few rounds are part of every test run; with DATAWORKER_TORTURE=1 it is twenty of each.
package chaos
