package mqtt

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// User is somebody who may connect to a Broker, and what they may do there.
type User struct {
	Name     string
	Password string   // as HashPassword gives it; "": only a certificate or a listener's own user will do
	Things   []string // endpoint names with * and ?, as path.Match has them, that they may ask and hear of; none: all
	ReadOnly bool     // they may not change anything: no POST, PUT, DELETE, nor attributes with OBSERVE
	Gateway  bool     // they may announce things, answer requests, and tell of events
}

const passwordIterations = 100_000

// HashPassword is a password as a configuration may hold it: PBKDF2 (RFC 8018) with SHA-256.
func HashPassword(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key := derive(password, salt, passwordIterations)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", passwordIterations, text(salt), text(key))
}

func derive(password string, salt []byte, iterations int) []byte {
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		panic(err) // of these lengths it can't fail
	}
	return key
}

// secret is a password at rest.
type secret struct {
	iterations int
	salt, key  []byte
}

func parseSecret(s string) (*secret, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return nil, errors.New("it is not hashed: use the form pbkdf2-sha256$ITERATIONS$SALT$KEY")
	}
	n, err := strconv.Atoi(parts[1])
	salt, err2 := base64.RawStdEncoding.DecodeString(parts[2])
	key, err3 := base64.RawStdEncoding.DecodeString(parts[3])
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	if n < 1000 || n > 10_000_000 || len(key) != sha256.Size {
		return nil, errors.New("its iterations or its key are out of range")
	}
	return &secret{n, salt, key}, nil
}

func (s *secret) matches(password string) bool {
	return subtle.ConstantTimeCompare(derive(password, s.salt, s.iterations), s.key) == 1
}

// access judges clients and topics.
type access struct {
	users map[string]*account
	busy  chan struct{} // passwords being checked: each costs some 25 ms of a processor
}

type account struct {
	User
	secret *secret
}

// everybody is who connects to a broker without access rules.
var everybody = &account{User: User{Gateway: true}}

func (a *access) init(config BrokerConfig) error {
	a.users, a.busy = map[string]*account{}, make(chan struct{}, 2)
	var problems []error
	for _, u := range config.Access {
		problems = append(problems, a.add(u))
	}
	for _, l := range config.Listeners {
		problems = append(problems, a.checkListener(l))
	}
	return errors.Join(problems...)
}

func (a *access) add(u User) error {
	if u.Name == "" || a.users[u.Name] != nil {
		return fmt.Errorf("broker user %q: the name is empty or taken", u.Name)
	}
	for _, pattern := range u.Things {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("broker user %s: pattern %q: %w", u.Name, pattern, err)
		}
	}
	account := &account{User: u}
	if u.Password != "" {
		s, err := parseSecret(u.Password)
		if err != nil {
			return fmt.Errorf("broker user %s: password: %w", u.Name, err)
		}
		account.secret = s
	}
	a.users[u.Name] = account
	return nil
}

// checkListener refuses what would let strangers in.
func (a *access) checkListener(l Listener) error {
	if l.User != "" && a.users[l.User] == nil {
		return fmt.Errorf("broker listener %s: there is no user %q", l.Address, l.User)
	}
	if len(a.users) > 0 || strings.HasPrefix(l.Address, "unix:") || loopback(l.Address) {
		return nil
	}
	return &Error{
		Code: "broker.open", Message: "listen for MQTT clients at " + l.Address, Why: "whoever reaches it could do anything, since no users are configured",
		Hint: "configure users, or listen at 127.0.0.1 or a unix socket",
	}
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// nobodys is compared with what is said to be the password of who has none, so that the time does not tell names.
var nobodys = &secret{iterations: passwordIterations, salt: make([]byte, 16)}

// password finds the account of who knows its password.
func (a *access) password(name, password string) *account {
	u, s := a.users[name], nobodys
	if u != nil && u.secret != nil {
		s = u.secret
	}
	a.busy <- struct{}{}
	defer func() { <-a.busy }()
	if !s.matches(password) || s == nobodys {
		return nil
	}
	return u
}

// asks says whether u may ask thing for anything.
func (u *account) asks(thing string) bool {
	if len(u.Things) == 0 {
		return true
	}
	for _, pattern := range u.Things {
		if ok, _ := path.Match(pattern, thing); ok {
			return true
		}
	}
	return false
}

// all says whether nothing is kept from u.
func (u *account) all() bool { return len(u.Things) == 0 && !u.ReadOnly }

// publishes says whether client id of u may publish to topic.
func (u *account) publishes(topic string) bool {
	first, _, _ := strings.Cut(topic, "/")
	if reserved[first] {
		return u.Gateway
	}
	if t, err := ParseTopic(topic); err == nil {
		return u.asks(t.Thing)
	}
	return u.all() || u.Gateway
}

// hears says whether client id of u may be given what was published to topic. another says whether a name is another client's.
func (u *account) hears(topic, id string, another func(name, id string) bool) bool {
	if u.Gateway {
		return true
	}
	first, rest, deeper := strings.Cut(topic, "/")
	second, _, _ := strings.Cut(rest, "/")
	switch {
	case first == topicReply:
		name, err := segment(second, false)
		return err == nil && (name == id || u.all() && !another(name, id))
	case first == topicGateway:
		return true
	case reserved[first] && !deeper:
		return len(u.Things) == 0 // of any thing
	case reserved[first]:
		t, err := ParseTopic(rest)
		return err == nil && u.asks(t.Thing)
	}
	return u.all() && !strings.HasPrefix(topic, "$") // requests of others, and replies on topics that only their asker knows
}

// Authorise says whether user may have r done: Serve's check for a gateway on this broker.
func (b *Broker) Authorise(user string, r *Request) error {
	u := b.access.users[user]
	switch {
	case len(b.access.users) == 0 || user == "":
		return nil // everybody may, or it came from this process
	case u == nil || !u.asks(r.Thing):
		return fmt.Errorf("user %s may not ask %s for anything", user, r.Thing)
	case u.ReadOnly && r.changes():
		return fmt.Errorf("user %s may only look, and this changes the device", user)
	}
	return nil
}
