//go:build !race

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/automanaged"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// Value says for which key it is, and which write made it: none, if it was loaded.
type Value struct {
	Key     string
	Version int
}

// The buckets, one for each way to place them.
var names = []string{"one", "parts", "copies", "near"}

const partitions = 6

// command is a question to a member.
type command struct {
	ID      int
	Op      string // fetch, many, set, delete, keys, leave
	Bucket  string
	Keys    []string
	Version int
	Within  time.Duration
}

// outcome is its answer.
type outcome struct {
	ID     int
	Values map[string]Value
	Err    string
	Lost   bool // the write may or may not have been made
	Took   time.Duration
}

// arguments of a member.
type arguments struct {
	Port   int      // for the other members
	Health int      // for signs of life
	Hosts  []string // who gives them
}

// lifeSign is how often members look for each other.
const lifeSign = 500 * time.Millisecond

// ready is a line of a member.
const ready = "ready"

// member serves commands until in ends, each in a goroutine.
func member(args arguments, in io.Reader, out io.Writer) error {
	quiet := logrus.New()
	quiet.SetLevel(logrus.PanicLevel)
	logrus.SetOutput(os.Stderr)
	logrus.SetLevel(logrus.WarnLevel)

	buckets := map[string]*bucket.Bucket[string, Value]{}
	for _, name := range names {
		buckets[name] = bucket.New(name, loader.Func(func(_ context.Context, key string) (Value, error) {
			return Value{Key: key}, nil
		}))
	}
	system := actor.NewSystem(quiet)
	border, err := cluster.Open(system,
		cluster.OneOwner(buckets["one"]), cluster.Partitioned(buckets["parts"], partitions),
		cluster.Replicated(buckets["copies"]), cluster.Partitioned(buckets["near"], partitions))
	if err != nil {
		return err
	}
	config, err := border.Remote("127.0.0.1", args.Port)
	if err != nil {
		return err
	}
	provider := automanaged.NewWithConfig(lifeSign, args.Health, args.Hosts...)
	c := protocluster.New(system, protocluster.Configure("chaos", provider, disthash.New(), config,
		protocluster.WithKinds(border.Kinds()...)))
	c.StartMember()
	handles := map[string]*cluster.Handle[string, Value]{}
	for name, b := range buckets {
		var options []cluster.HandleOption
		if name == "near" {
			options = append(options, cluster.NearCache(time.Hour))
		}
		handles[name] = cluster.Of(b, c, options...)
	}

	var mu sync.Mutex
	say := func(line any) {
		encoded, err := json.Marshal(line)
		if err != nil {
			panic(err)
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, string(encoded))
	}
	fmt.Fprintln(out, ready)
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var asked command
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		if asked.Op == "leave" {
			for _, h := range handles {
				h.Close()
			}
			c.Shutdown(true)
			say(outcome{ID: asked.ID})
			return nil
		}
		go func() { say(serve(asked, handles[asked.Bucket])) }()
	}
}

func serve(asked command, h *cluster.Handle[string, Value]) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), asked.Within)
	defer cancel()
	o := outcome{ID: asked.ID, Values: map[string]Value{}}
	began := time.Now()
	var err error
	switch asked.Op {
	case "fetch":
		o.Values[asked.Keys[0]], err = h.Fetch(ctx, asked.Keys[0])
	case "many":
		o.Values, err = h.FetchMany(ctx, asked.Keys)
	case "set":
		err = h.DirectSet(ctx, asked.Keys[0], Value{asked.Keys[0], asked.Version})
	case "delete":
		err = h.Delete(ctx, asked.Keys[0])
	case "keys":
		_, err = h.Keys(ctx)
	}
	o.Took = time.Since(began)
	if err != nil {
		o.Err = err.Error()
		o.Lost = errors.Is(err, cluster.ErrLost) || ctx.Err() != nil
	}
	return o
}
