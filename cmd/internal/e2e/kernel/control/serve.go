package control

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Host is what the guest's side can do with its machine beyond files, processes and sockets.
type Host interface {
	SetClock(time.Time) error
	PowerOff() error
}

// The calls and conversations that a guest holds at once, and the bytes that each may have under way.
const conversations, window = 250, 1 << 20

// Serve answers calls that arrive on pipe until it breaks.
func Serve(pipe net.Conn, host Host) error {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: Handler(host), Protocols: &protocols, HTTP2: &http.HTTP2Config{
		// A conversation that nobody reads may hold its own window, never the one that all calls share.
		MaxReceiveBufferPerConnection: conversations * window, MaxReceiveBufferPerStream: window, MaxConcurrentStreams: conversations,
	}}
	err := server.Serve(newOneConn(pipe))
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Handler is the calls of a guest.
func Handler(host Host) http.Handler {
	processes := newProcesses()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathFile, readFile)
	mux.HandleFunc("PUT "+pathFile, writeFile)
	mux.Handle("GET "+pathGlob, answer(func(r *http.Request, _ struct{}) ([]string, error) {
		return filepath.Glob(r.URL.Query().Get("name"))
	}))
	mux.Handle("POST "+pathStart, answer(func(_ *http.Request, c Command) (process, error) { return processes.start(c) }))
	mux.Handle("POST "+pathWait, answer(func(r *http.Request, p process) (Exit, error) { return processes.wait(r.Context(), p) }))
	mux.Handle("POST "+pathSignal, answer(func(_ *http.Request, s Signal) (struct{}, error) { return struct{}{}, s.send() }))
	mux.Handle("POST "+pathClock, answer(func(_ *http.Request, c clock) (struct{}, error) { return struct{}{}, host.SetClock(c.Time) }))
	mux.Handle("POST "+pathOff, answer(func(*http.Request, struct{}) (struct{}, error) { return struct{}{}, host.PowerOff() }))
	mux.HandleFunc("POST "+pathConnect, connect)
	return mux
}

// answer decodes a request, calls do and encodes its result; an error is a 422 with its text.
func answer[Q, A any](do func(*http.Request, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil && !errors.Is(err, io.EOF) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a, err := do(r, q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		json.NewEncoder(w).Encode(a) //nolint:errcheck // the caller has gone
	})
}

func readFile(w http.ResponseWriter, r *http.Request) {
	b, err := os.ReadFile(r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Write(b) //nolint:errcheck // the caller has gone
}

// writeFile writes the body with one write call, as the files of sysfs want it, and without replacing the file.
func writeFile(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = os.WriteFile(r.URL.Query().Get("name"), body, 0o755)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	}
}

// connect joins the request's and the response's bodies to a socket of the guest.
func connect(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	socket, err := net.Dial(q.Get("network"), q.Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer socket.Close()
	flush := http.NewResponseController(w)
	flush.Flush() //nolint:errcheck // a broken pipe shows in the first write

	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(socket, r.Body) //nolint:errcheck // either side may end the conversation
		closeWrite(socket)
	})
	io.Copy(flushed{w, flush}, socket) //nolint:errcheck // either side may end the conversation
	socket.Close()
	r.Body.Close()
	up.Wait()
}

// flushed sends every write at once.
type flushed struct {
	io.Writer
	flush *http.ResponseController
}

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.flush.Flush()
}

func closeWrite(c io.Closer) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() //nolint:errcheck // the other side has gone
		return
	}
	c.Close()
}
