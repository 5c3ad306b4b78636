package dtls

import (
	"container/list"
	"sync"

	pion "github.com/pion/dtls/v3"
)

// maxSessions bounds what is remembered for abbreviated handshakes, at some 400 bytes each.
const maxSessions = 8192

// sessions remembers sessions for abbreviated handshakes (RFC 5246 section 7.3), the most recently used of them. It implements
// [pion.SessionStore], which never stores a session that a client's certificate authenticated.
type sessions struct {
	limit int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of session, newest in front
}

type session struct {
	key string
	pion.Session
}

func newSessions(limit int) *sessions {
	return &sessions{limit: limit, byKey: map[string]*list.Element{}}
}

// Set implements [pion.SessionStore].
func (s *sessions) Set(key []byte, value pion.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(string(key))
	s.byKey[string(key)] = s.order.PushFront(session{string(key), value})
	if s.order.Len() > s.limit {
		s.forget(s.order.Back().Value.(session).key)
	}
	return nil
}

// Get implements [pion.SessionStore]: a session that is not there is the zero one.
func (s *sessions) Get(key []byte) (pion.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.byKey[string(key)]
	if at == nil {
		return pion.Session{}, nil
	}
	s.order.MoveToFront(at)
	return at.Value.(session).Session, nil
}

// Del implements [pion.SessionStore].
func (s *sessions) Del(key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(string(key))
	return nil
}

func (s *sessions) forget(key string) {
	if at := s.byKey[key]; at != nil {
		s.order.Remove(at)
		delete(s.byKey, key)
	}
}
