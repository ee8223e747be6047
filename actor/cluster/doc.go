// Package cluster takes buckets across the borders of processes, with protoactor's own remote and
// cluster: nothing here knows members, places actors or moves bytes.
//
// # The border
//
// protoactor's remote carries protobuf and nothing else. A [Border] makes the messages of package
// bucket cross all the same: they are encoded where they leave and decoded where they arrive, keys and
// values by the codecs of their bucket, errors so that [errors.Is] finds in them what it would have
// found on the other side. Whoever has a PID need not know where it is:
//
//	border, err := cluster.Open(system, cluster.Carry(Widgets))
//	config, err := border.Remote("127.0.0.1", 8090)
//	remote.NewRemote(system, config).Start()
//
//	found, err := actor.Ask[bucket.Found](ctx, system, remotePID, bucket.Fetch{Key: "left-handed"})
//
// # What can go wrong on the way
//
//	a key or value that no bucket carries         the asker gets a Failed: ErrNotCarried
//	the other member has another codec or schema  the same, and both log it
//	larger than MaxMessage                        Failed: ErrTooLarge; what is smaller goes in parts
//	the other member is of an older version       Failed: ErrUnknownMessage; both go on
//	rubbish on the port                           its connection is closed
//	the connection is lost                        nothing: the asker's context ends. Ask again what
//	                                              may be asked twice
//
// Between two members messages keep their order while they are connected.
//
// # Where a bucket lives
//
// A bucket is declared as ever, and given a place when the border is opened, the same one in all members:
//
//	border, err := cluster.Open(system, cluster.OneOwner(Widgets))
//	config, err := border.Remote("127.0.0.1", 0)
//	c := protocluster.New(system, protocluster.Configure("shop", provider, disthash.New(), config,
//		protocluster.WithKinds(border.Kinds()...)))
//	c.StartMember()
//
//	widgets := cluster.Of(Widgets, c)
//	price, err := widgets.Fetch(ctx, "left-handed")
//
//	place             data is                        reads                    writes
//	OneOwner          in one member                  ask the owner            by the owner
//	Partitioned       divided by a hash of the key   ask the key's owner      by the key's owner
//	Replicated        in one member, with a copy     of the own copy          by the owner, and then in
//	                  in each that has a handle                               all copies, in order
//	with NearCache    also where it was fetched,     of what was fetched      drop it everywhere
//	                  for a while                    lately
//
// An owner is started in the member that protoactor's lookup chooses, when it is first asked for. In that
// member reads are those of a local bucket. A member that passes no Kinds to its cluster only asks.
//
// # When members come and go
//
// When the member of an owner leaves, the next question starts the owner in another one; a question that
// was on its way is asked again. When a member is killed that takes as long as
// the provider needs to notice. What the new owner has then depends on the place:
//
//	OneOwner, Partitioned     what its loader gives, or its file
//	Replicated                what the freshest copy of any member has
//
// protoactor does not promise that there is one owner only: while members come and go there may be two
// for a moment. Both load; a write to the one that goes is lost with it, unless it has reached a copy. An
// owner looks twice a second whether it is the one, and leaves if it is not. The lock of a file keeps the
// second one from starting before the first has let go of it; on disks that members do not share, a file
// may be of an earlier time, so an owner that starts with one asks its source at once.
//
// A copy shows a full refresh change by change, and not as one generation. Whoever writes through a
// handle, reads what was written from that handle.
//
// # Who may connect
//
// Whoever can connect to a member can send any message to any of its actors. So without [TLS] a
// member listens only where this machine alone can connect, unless one says [TrustTheNetwork].
package cluster
