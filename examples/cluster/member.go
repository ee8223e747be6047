package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// Greeting is a value, and says who has loaded it.
type Greeting struct {
	Text  string
	Owner int
}

// Greetings is declared in every member, and lives in one.
var Greetings = bucket.New("greetings", loader.Func(func(_ context.Context, country string) (Greeting, error) {
	return Greeting{fmt.Sprintf("hello from %s, loaded by process %d", country, os.Getpid()), os.Getpid()}, nil
}))

// arguments of a member.
type arguments struct {
	Port    int      // for the other members
	Health  int      // for signs of life
	Hosts   []string // who gives them
	Meeting *meeting
}

// ready is the first line of a member.
const ready = "ready"

// patience is how long a member waits for an answer.
const patience = 30 * time.Second

// serve is a member of the cluster, until in ends.
func serve(ctx context.Context, args arguments, in io.Reader, out io.Writer) error {
	quiet := logrus.New()
	quiet.SetLevel(logrus.PanicLevel) // protoactor logs each look for a member that is not there
	logrus.SetLevel(logrus.WarnLevel)

	system := actor.NewSystem(quiet)
	border, err := cluster.Open(system, cluster.OneOwner(Greetings))
	if err != nil {
		return err
	}
	config, err := border.Remote("127.0.0.1", args.Port)
	if err != nil {
		return err
	}
	provider, err := args.Meeting.provider(args)
	if err != nil {
		return err
	}
	c := protocluster.New(system, protocluster.Configure("greetings", provider, disthash.New(), config,
		protocluster.WithKinds(border.Kinds()...)))
	c.StartMember()
	greetings := cluster.Of(Greetings, c)
	defer greetings.Close()

	fmt.Fprintln(out, ready)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		asking, stop := context.WithTimeout(ctx, patience)
		greeting, err := greetings.Fetch(asking, lines.Text())
		stop()
		a := answer{Value: greeting.Text, Owner: greeting.Owner}
		if err != nil {
			a.Err = err.Error()
		}
		encoded, err := json.Marshal(a)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, string(encoded))
	}
	return nil
}
