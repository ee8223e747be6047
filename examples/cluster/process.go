package main

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
)

// process is a member, as the one who has started it sees it. It is asked over its standard input,
// a key a line, and answers with a line of JSON each.
type process struct {
	index   int
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// answer is what a member found.
type answer struct {
	Value string
	Owner int // the number of the process that has loaded it
	Err   string
}

// memberVariable tells a process that it is a member, and which.
const memberVariable = "DATAWORKER_EXAMPLE_MEMBER"

// memberArgs are the arguments of a member, if this process is one.
func memberArgs() (arguments, bool) {
	var args arguments
	value, ok := os.LookupEnv(memberVariable)
	return args, ok && json.Unmarshal([]byte(value), &args) == nil
}

// startMember starts this program again, as a member, and waits until it is one.
func startMember(ctx context.Context, index int, ports []int, meeting *meeting) (*process, error) {
	args := arguments{Port: ports[2*index], Health: ports[2*index+1], Meeting: meeting}
	for i := 1; i < len(ports); i += 2 {
		args.Hosts = append(args.Hosts, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{index: index, name: "member " + string(rune('A'+index)), command: exec.CommandContext(ctx, self)}
	p.command.Env = append(os.Environ(), memberVariable+"="+string(encoded))
	p.command.Stderr = os.Stderr
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	for line := ""; strings.TrimSpace(line) != ready; { // the provider's web server has its say before
		if line, err = p.out.ReadString('\n'); err != nil {
			p.kill()
			return nil, fmt.Errorf("%s does not start: %w", p.name, err)
		}
	}
	return p, nil
}

// ask has the member fetch the value of a key.
func (p *process) ask(key string) (answer, error) {
	var a answer
	if _, err := fmt.Fprintln(p.in, key); err != nil {
		return a, fmt.Errorf("%s: %w", p.name, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err == nil && a.Err != "" {
		err = errors.New(a.Err)
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", p.name, err)
	}
	return a, nil
}

// kill ends the process at once: nobody is told.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it has ended already
	_ = p.command.Wait()
}

// freePorts finds ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // held until all have been found, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
