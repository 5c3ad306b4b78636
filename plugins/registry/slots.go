package registry

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// slots counts the requests that are worked on, so that one client does not keep the others out.
type slots struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by address
}

// take takes a slot for a client, host:port, unless there are too many.
func (s *slots) take(client string) (free func(), ok bool) {
	address, _, err := net.SplitHostPort(client)
	if err != nil {
		address = client
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == maxInFlight || s.of[address] == maxOfAddress {
		return nil, false
	}
	s.all++
	s.of[address]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[address]--; s.of[address] == 0 {
			delete(s.of, address)
		}
	}, true
}

// steady breaks an answer off when the client takes next to nothing of it for serveStallTime: its slot is for somebody who reads.
type steady struct {
	http.ResponseWriter
	control *http.ResponseController
	end     time.Time
}

func newSteady(w http.ResponseWriter) *steady {
	return &steady{w, http.NewResponseController(w), time.Now().Add(serveAnswerTime)}
}

// Write writes one buffer of io.Copy, 32 KiB.
func (s *steady) Write(b []byte) (int, error) {
	deadline := time.Now().Add(serveStallTime)
	if deadline.After(s.end) {
		deadline = s.end
	}
	_ = s.control.SetWriteDeadline(deadline) // where that can't be, the server's own holds
	return s.ResponseWriter.Write(b)
}
