// Command cluster starts three processes that make up a cluster, asks each of them for a value of one
// bucket, kills the process that owns the bucket, and shows it coming back in another.
//
// The members find each other by one of protoactor's providers. By default it is the automanaged one,
// which needs no service besides them: it asks a list of hosts for a sign of life, over HTTP and on all
// addresses of the machine, so it is for a network that one trusts. With -etcd it is the one for etcd,
// and the value is where that is: a list of host:port, or embedded for one that runs in this process.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if args, ok := memberArgs(); ok {
		err = serve(ctx, args, os.Stdin, os.Stdout)
	} else {
		etcd := flag.String("etcd", "", "members find each other by etcd: its `addresses` (host:port,...), or embedded")
		flag.Parse()
		err = run(ctx, os.Stdout, *etcd)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

const members = 3

// run shows it all.
func run(ctx context.Context, out io.Writer, etcd string) (err error) {
	meeting := &meeting{Kind: "automanaged"}
	if etcd != "" {
		var stop func()
		if meeting, stop, err = atEtcd(ctx, etcd); err != nil {
			return err
		}
		defer stop()
	}
	ports, err := freePorts(2 * members)
	if err != nil {
		return err
	}
	processes := make([]*process, members)
	for i := range processes {
		if processes[i], err = startMember(ctx, i, ports, meeting); err != nil {
			return err
		}
		defer processes[i].kill()
	}

	fmt.Fprintf(out, "%d processes that meet by %s, and one bucket. Whoever is asked, the owner loads:\n", members, meeting.Kind)
	var owner *process
	for _, p := range processes {
		answer, err := p.ask("France")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s: %s\n", p.name, answer.Value)
		if owner = nameOf(processes, answer.Owner); owner == nil {
			return fmt.Errorf("%s was answered by process %d, which is none of the members", p.name, answer.Owner)
		}
	}

	fmt.Fprintf(out, "\n%s owns it, and is killed.\n", owner.name)
	owner.kill()
	killed := time.Now()
	for _, p := range processes {
		if p == owner {
			continue
		}
		answer, err := p.ask("Japan")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s: %s (%.1fs after the kill)\n", p.name, answer.Value, time.Since(killed).Seconds())
	}

	fmt.Fprintf(out, "\n%s comes back.\n", owner.name)
	again, err := startMember(ctx, owner.index, ports, meeting)
	if err != nil {
		return err
	}
	defer again.kill()
	answer, err := again.ask("Peru")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  %s: %s\n", again.name, answer.Value)
	return nil
}

// nameOf finds a process by its number.
func nameOf(processes []*process, pid int) *process {
	for _, p := range processes {
		if p.command.Process.Pid == pid {
			return p
		}
	}
	return nil
}
