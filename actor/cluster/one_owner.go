package cluster

import "github.com/dataworker-go/dataworker/bucket"

// OneOwner has a bucket live once in the cluster, in the member that protoactor's lookup chooses. It
// is started there when it is first asked for, under a supervisor of its own, with these options
// besides its own; when that member leaves, another one takes it over. All members name it.
//
// Two members may take themselves for the owner for a moment, while members come and go: then both
// load. If the bucket has a file, and all members share the disk, the lock of the file has the second
// one wait for the first; a disk of each member's own may hold what is old, so a bucket that starts
// with a file asks its source at once.
func OneOwner[K comparable, V any](b *bucket.Bucket[K, V], opts ...bucket.Option) Placed {
	return Placed{
		carried: Carry(b),
		bucket:  b,
		open: func(border *Border) place {
			return &placement[K, V]{
				border: border,
				name:   b.Name(),
				parts:  []part[K, V]{newPart(b.Name(), b, opts)},
				where:  func(K) (int, error) { return 0, nil },
			}
		},
	}
}
