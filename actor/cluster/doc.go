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
// # One owner
//
// A bucket that is placed by [OneOwner] lives once in the cluster, in the member that protoactor's
// lookup chooses. It starts there when it is first asked for. Everybody asks it by a [Handle]:
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
// When its member leaves, the next question starts it in another one; a question that was on its way
// is asked again, if it may be asked twice. When a member is killed that takes as long as the provider
// needs to notice. protoactor does not promise that there is one owner only: while members come and go
// there may be two for a moment, who both load, and a write to the one that goes is lost with it.
//
// # Who may connect
//
// Whoever can connect to a member can send any message to any of its actors. So without [TLS] a
// member listens only where this machine alone can connect, unless one says [TrustTheNetwork].
package cluster
