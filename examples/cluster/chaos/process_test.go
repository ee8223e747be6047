//go:build !race

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const memberVariable = "DATAWORKER_CHAOS_MEMBER"

// TestMain is a member, too: the tests start their own program again.
func TestMain(m *testing.M) {
	if value, ok := os.LookupEnv(memberVariable); ok {
		var args arguments
		err := json.Unmarshal([]byte(value), &args)
		if err == nil {
			err = member(args, os.Stdin, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// process is a member as its parent sees it. It may be used by many goroutines.
type process struct {
	index   int
	command *exec.Cmd
	in      io.WriteCloser
	over    chan struct{} // closed when it has ended
	using   sync.RWMutex  // is read by who asks it

	mu      sync.Mutex
	next    int
	waiting map[int]chan outcome
}

var errGone = errors.New("the member is gone")

// start starts a member, and waits until it is one.
func start(t testing.TB, index int, ports []int) *process {
	t.Helper()
	args := arguments{Port: ports[2*index], Health: ports[2*index+1]}
	for i := 1; i < len(ports); i += 2 {
		args.Hosts = append(args.Hosts, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	encoded, err := json.Marshal(args)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{index: index, command: exec.Command(self), over: make(chan struct{}), waiting: map[int]chan outcome{}}
	p.command.Env = append(os.Environ(), memberVariable+"="+string(encoded))
	p.command.Stderr = os.Stderr
	p.in, err = p.command.StdinPipe()
	require.NoError(t, err)
	out, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	t.Cleanup(p.kill)
	lines := bufio.NewReader(out)
	for line := ""; strings.TrimSpace(line) != ready; { // the provider's web server has its say before
		line, err = lines.ReadString('\n')
		require.NoError(t, err, "member %d does not start", index)
	}
	go p.listen(lines)
	return p
}

func (p *process) listen(lines *bufio.Reader) {
	defer close(p.over)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var o outcome
		if json.Unmarshal(line, &o) != nil {
			continue
		}
		p.mu.Lock()
		answer := p.waiting[o.ID]
		delete(p.waiting, o.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- o
		}
	}
}

// ask has the member do something.
func (p *process) ask(c command) (outcome, error) {
	answer := make(chan outcome, 1)
	p.mu.Lock()
	p.next++
	c.ID = p.next
	p.waiting[c.ID] = answer
	encoded, err := json.Marshal(c)
	if err == nil {
		_, err = fmt.Fprintln(p.in, string(encoded))
	}
	p.mu.Unlock()
	if err != nil {
		return outcome{}, errGone
	}
	select {
	case o := <-answer:
		return o, nil
	case <-p.over:
		return outcome{}, errGone
	}
}

// kill ends the process at once: nobody is told.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	_ = p.command.Wait()
}

// freePorts finds ports that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = listener.Close() }() // held until all have been found, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// eventually waits until something is so, and says how long it took.
func eventually(t testing.TB, within time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !so() {
		require.Less(t, time.Since(began), within, what)
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}
