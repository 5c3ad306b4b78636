package coap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The tests here talk to other implementations. Each skips where its peer is not installed, and fails there if
// EDGEHOLD_SKIP_NOTHING is set.

// program finds a peer's program: in the system, or where install-toolchains puts it.
func program(t *testing.T, name, folder string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("talks to another implementation for seconds")
	}
	if folder != "" {
		root := os.Getenv("EDGEHOLD_TOOLCHAINS")
		if root == "" {
			cache, err := os.UserCacheDir()
			if err != nil {
				t.Fatal(err)
			}
			root = filepath.Join(cache, "edgehold", "toolchains")
		}
		name = filepath.Join(root, folder, "bin", name)
	}
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("EDGEHOLD_SKIP_NOTHING") != "":
		t.Fatal(err)
	}
	t.Skipf("%v: cmd/internal/e2e installs it", err)
	return ""
}

// run runs a program with a time limit and returns what it printed.
func run(t *testing.T, path string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, path, arguments...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Errorf("%s %q: %v\n%s", filepath.Base(path), arguments, err, problems.String())
	}
	return out.String() + problems.String()
}

// resources is a Handler with what the peers' clients ask for.
type resources struct {
	endpoint atomic.Pointer[Endpoint]
	large    []byte
	puts     atomic.Int32
}

func (r *resources) Serve(ctx context.Context, p Peer, request, response *Message) {
	switch request.Path() {
	case "/large":
		response.Code, response.Payload = Content, r.large
	case "/middle":
		response.Code, response.Payload = Content, r.large[:160]
	case "/challenge":
		response.Code = Unauthorized
		if value, ok := request.Opaque(Echo); ok && string(value) == "show it" {
			response.Code, response.Payload = Content, []byte("shown")
		} else {
			response.SetOpaque(Echo, []byte("show it"))
		}
	case "/echo":
		r.puts.Add(1)
		response.Code, response.Payload = Content, request.Payload
	case "/length":
		response.Code, response.Payload = Content, []byte(strconv.Itoa(len(request.Payload)))
	case "/slow":
		time.Sleep(1500 * time.Millisecond) // it is a real peer's time
		response.Code, response.Payload = Content, []byte("late")
	case "/observed":
		response.Code, response.Payload = Content, []byte("0")
		if o, ok := request.Uint(Observe); ok && o == 0 {
			response.SetUint(Observe, 1)
			go r.notify(ctx, p, request.Token)
		}
	}
}

func (r *resources) notify(ctx context.Context, p Peer, token Token) {
	for n := range 5 {
		m := &Message{Code: Content, Token: token, Payload: []byte(strconv.Itoa(n + 1))}
		m.SetUint(Observe, uint32(n+2))
		if err := r.endpoint.Load().Notify(ctx, p, m); err != nil {
			return
		}
	}
}

// serve runs an endpoint with these resources over UDP and TCP, and returns its address for each scheme.
func (r *resources) serve(t *testing.T) map[string]string {
	t.Helper()
	udp := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	tcp := listenTCP(t, TCPConfig{Addresses: []string{"127.0.0.1:0"}})
	r.large = bytes.Repeat([]byte("0123456789abcdef"), 200)
	r.endpoint.Store(start(t, Config{Transports: []Transport{udp, tcp}, Handler: r}))
	return map[string]string{
		"coap":     "coap://" + udp.Addresses()[0].String(),
		"coap+tcp": "coap+tcp://" + tcp.Addresses()[0].String(),
	}
}

func TestLibcoapsClient(t *testing.T) {
	client := program(t, "coap-client-notls", "")
	r := new(resources)
	at := r.serve(t)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, r.large, 0o600); err != nil {
		t.Fatal(err)
	}
	large := string(r.large)
	t.Run("all", func(t *testing.T) {
		for _, c := range []struct {
			name, path, want string
			arguments        []string
		}{
			{"GET in blocks", "large", large, nil},
			{"GET in blocks of 64", "large", large, []string{"-b", "64"}},
			{"POST", "echo", "hello", []string{"-m", "post", "-e", "hello"}},
			{"PUT in blocks and back", "echo", large, []string{"-m", "put", "-f", file}},
			{"POST in blocks of 256 and back", "echo", large, []string{"-m", "post", "-b", "256", "-f", file}},
			{"FETCH", "echo", "query", []string{"-m", "fetch", "-e", "query"}},
			{"FETCH in blocks and back", "echo", large, []string{"-m", "fetch", "-f", file}},
			{"iPATCH in blocks and back", "echo", large, []string{"-m", "ipatch", "-f", file}},
			{"separate answer", "slow", "late", nil},
			{"not confirmable", "echo", "non", []string{"-N", "-m", "put", "-e", "non"}},
			{"not there", "nothing", "4.04", nil},
			{"over TCP", "large", large, []string{"-r"}},
			{"over TCP both ways", "echo", large, []string{"-r", "-m", "put", "-f", file}},
			{"GET in the blocks of an unverified peer, some lost", "middle", large[:160], []string{"-l", "1,3,6"}},
			{"challenged", "challenge", "shown", nil},
			{"PUT, some lost", "length", strconv.Itoa(len(large)), []string{"-m", "put", "-b", "512", "-f", file, "-l", "2,4-5,8"}},
			{"separate answer, its acknowledgements lost", "slow", "late", []string{"-l", "2-3"}},
			{"POST, twice lost", "echo", "hello", []string{"-m", "post", "-e", "hello", "-l", "1-2"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				scheme := "coap"
				if len(c.arguments) > 0 && c.arguments[0] == "-r" {
					scheme = "coap+tcp"
				}
				got := run(t, client, append(c.arguments, at[scheme]+"/"+c.path)...)
				if got = strings.TrimSpace(got); !strings.Contains(got, c.want) {
					t.Errorf("got %d bytes %.60q, want %d", len(got), got, len(c.want))
				}
			})
		}
		t.Run("observe", func(t *testing.T) {
			t.Parallel()
			got := run(t, client, "-s", "8", "-w", at["coap"]+"/observed")
			if strings.Join(strings.Fields(got), "") != "012345" {
				t.Errorf("got %q", got)
			}
		})
	})
	if s := r.endpoint.Load().Stats(); s.Malformed != 0 || s.Panics != 0 {
		t.Errorf("counted %+v", s)
	}
}

// reach asks until somebody answers.
func reach(t *testing.T, e *Endpoint, p Peer, path string) *Message {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; {
		answer, err := e.Do(t.Context(), p, request(GET, path))
		if err == nil {
			return answer
		}
		if !errors.Is(err, ErrUnreachable) || time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

func TestLibcoapsServer(t *testing.T) {
	path := program(t, "coap-server-notls", "")
	// It loses nothing, for it knows no duplicates: a last block sent again would be a body of its own to it.
	server := exec.Command(path, "-A", "127.0.0.1", "-p", "0", "-d", "5", "-v", "7")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	read := make(chan struct{})
	defer func() { _ = server.Process.Kill(); <-read; _ = server.Wait() }()
	address := ""
	for address == "" { // it says where it listens
		line, err := said.ReadString('\n')
		if err != nil {
			close(read)
			t.Fatalf("libcoap's server does not say where it listens: %v", err)
		}
		_, address, _ = strings.Cut(strings.TrimSpace(line), "created UDP  endpoint ")
	}
	go func() { // what it says later must not make it wait
		defer close(read)
		_, _ = io.Copy(io.Discard, said)
	}()
	notifications := make(chan *Message, 100)
	u := listen(t, UDPConfig{})
	e := start(t, Config{Transports: []Transport{u}, Notifications: func(_ context.Context, _ Peer, n *Message) bool {
		notifications <- n.Clone()
		return true
	}})
	p := dial(t, u, address)
	if answer := reach(t, e, p, "/"); answer.Code != Content || !bytes.Contains(answer.Payload, []byte("libcoap")) {
		t.Errorf("got %v %q", answer, answer.Payload)
	}
	put := request(PUT, "/made")
	put.Payload = sample(5000)
	if answer, err := e.Do(t.Context(), p, put); err != nil || answer.Code != Created {
		t.Fatalf("put: %v, error %v", answer, err)
	}
	if answer, err := e.Do(t.Context(), p, request(GET, "/made")); err != nil || !bytes.Equal(answer.Payload, put.Payload) {
		t.Errorf("get back: %v, error %v", answer, err)
	}
	answer, err := e.Do(t.Context(), p, request(GET, "/time").with(Observe, 0))
	if err != nil {
		t.Fatal(err)
	}
	last, _ := answer.Uint(Observe)
	for range 2 {
		n := <-notifications
		if order, _ := n.Uint(Observe); n.Token != answer.Token || !Newer(last, time.Now(), order, time.Now()) {
			t.Errorf("notification %v, order %d after %d", n, order, last)
		}
	}
	if err := e.Ping(t.Context(), p); err != nil {
		t.Error(err)
	}
}

func TestAiocoapsClient(t *testing.T) {
	client := program(t, "aiocoap-client", "aiocoap")
	r := new(resources)
	at := r.serve(t)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, r.large, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, scheme, path, want string
		arguments                []string
	}{
		{"GET in blocks", "coap", "large", string(r.large), nil},
		{"PUT in blocks and back", "coap", "echo", string(r.large), []string{"-m", "PUT", "--payload", "@" + file}},
		{"FETCH in small blocks and back", "coap", "echo", string(r.large), []string{"-m", "FETCH", "--payload", "@" + file, "--payload-initial-szx", "2"}},
		{"separate answer", "coap", "slow", "late", nil},
		{"over TCP", "coap+tcp", "large", string(r.large), nil},
		{"over TCP both ways", "coap+tcp", "echo", string(r.large), []string{"-m", "PUT", "--payload", "@" + file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(t, client, append(c.arguments, "--quiet", at[c.scheme]+"/"+c.path)...)
			if strings.TrimSpace(got) != c.want {
				t.Errorf("got %d bytes %.60q, want %d", len(got), got, len(c.want))
			}
		})
	}
}

func TestAiocoapsServer(t *testing.T) {
	python := program(t, "python", "aiocoap")
	server := exec.Command(python, "testdata/server.py")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = in.Close(), server.Wait() }()
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	notifications := make(chan *Message, 100)
	var known atomic.Bool
	known.Store(true)
	u := listen(t, UDPConfig{})
	e := start(t, Config{Transports: []Transport{u}, Notifications: func(_ context.Context, _ Peer, n *Message) bool {
		notifications <- n.Clone()
		return known.Load()
	}})
	p := dial(t, u, "127.0.0.1:"+strings.TrimSpace(port))
	put := request(PUT, "/body")
	put.Payload = sample(7000)
	if answer, err := e.Do(t.Context(), p, put); err != nil || answer.Code != Changed {
		t.Fatalf("put: %v, error %v", answer, err)
	}
	if answer, err := e.Do(t.Context(), p, request(GET, "/body")); err != nil || !bytes.Equal(answer.Payload, put.Payload) {
		t.Errorf("get back: %v, error %v", answer, err)
	}
	fetch := request(FETCH, "/body")
	fetch.Payload = sample(1000)
	if answer, err := e.Do(t.Context(), p, fetch); err != nil || len(answer.Payload) != 2000 {
		t.Errorf("fetch: %v, error %v", answer, err)
	}
	if answer, err := e.Do(t.Context(), p, request(GET, "/slow")); err != nil || string(answer.Payload) != "late" {
		t.Errorf("separate answer: %v, error %v", answer, err)
	}
	answer, err := e.Do(t.Context(), p, request(GET, "/counter").with(Observe, 0))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n := <-notifications; n.Token != answer.Token {
			t.Errorf("notification %v", n)
		}
	}
	known.Store(false)
	<-notifications // is reset, and ends the observation
	quiet := time.NewTimer(time.Second)
	for ended := false; !ended; {
		select {
		case <-notifications:
			if s := e.Stats(); s.Unknown > 3 {
				t.Fatal("the reset ends nothing")
			}
		case <-quiet.C:
			ended = true
		}
	}
}
