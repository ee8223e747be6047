package cluster

import "github.com/dataworker-go/dataworker/bucket"

// Replicated has a bucket live once in the cluster, as [OneOwner] does, and a full copy of it in every
// member that opens a handle with [Of]. That reads its copy, and asks the owner for what is not in it.
// What is written, loaded and refreshed goes to the owner, and from there to the copies, in order. A
// copy that misses something notices it by the numbers of the changes, and is made anew beside the
// old one, which serves meanwhile.
//
// An owner that takes the bucket over begins with the freshest copy that any member has, so what has
// reached a copy outlives the owner. A write that was acknowledged an instant before the owner is
// killed may not have.
//
// Open one handle in a member: each has a copy of its own.
func Replicated[K comparable, V any](b *bucket.Bucket[K, V], opts ...bucket.Option) Placed {
	return Placed{
		carried: Carry(b),
		bucket:  b,
		open: func(border *Border) place {
			kept := newCopies[K, V](border, b.Name())
			served := b.Like(b.Name(), kept.insteadOfInit)
			return &placement[K, V]{
				border: border,
				name:   b.Name(),
				parts:  []part[K, V]{newPart(b.Name(), served, opts)},
				where:  func(K) (int, error) { return 0, nil },
				copies: kept,
			}
		},
	}
}
