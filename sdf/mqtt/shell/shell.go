package shell

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Names of the container that the shell speaks through, as OMA's model of object 19 has them.
const (
	Object   = "BinaryAppDataContainer"
	Property = "Data"
)

// Elements of the property.
const (
	commandAt = 0
	answerAt  = 1
)

// Prefix of each command.
const Prefix = "mlsysops knobs "

const (
	maxAnswer = 8 << 10 // bytes
	sayings   = 6       // how often a command is said before others have the shell to themselves
)

// shortest bounds the pause after a command that was talked over; it doubles each time. It is random, so that two who ask do not meet again and again.
const shortest = 10 * time.Millisecond

// Errors of a command. What the gateway says is an *mqtt.Error.
var (
	ErrRefused    = errors.New("the device refuses") // an *Refusal says why
	ErrTalkedOver = errors.New("somebody else speaks to the same shell")
)

// Refusal is what a shell says instead of an answer.
type Refusal struct{ Device, Command, Says string }

func (e *Refusal) Error() string {
	return fmt.Sprintf("%q on %s: the device says: %s", e.Command, e.Device, e.Says)
}

func (*Refusal) Unwrap() error { return ErrRefused }

// Shell of one device. Its user asks one thing at a time.
type Shell struct {
	client *mqtt.Client
	data   mqtt.Topic
}

// New returns the shell that speaks through a device's property: Data names it.
func New(client *mqtt.Client, data mqtt.Topic) *Shell { return &Shell{client, data} }

// Data is the property of a device that its shell speaks through.
func Data(thing string, instance uint16) mqtt.Topic {
	return mqtt.Topic{Thing: thing, Object: Object, Label: mqtt.At(instance), Affordance: mqtt.Property, Name: Property}
}

// List asks for what each knob is at.
func (s *Shell) List(ctx context.Context) ([]Value, error) {
	text, err := s.ask(ctx, isList, "list")
	return values(text), err
}

// Get asks for what one knob is at.
func (s *Shell) Get(ctx context.Context, knob string) (Value, error) {
	text, err := s.ask(ctx, isOf(knob), "get", knob)
	if err != nil {
		return Value{}, err
	}
	v, _ := about(text, knob)
	return v, nil
}

// Options asks for what each knob takes.
func (s *Shell) Options(ctx context.Context) ([]Option, error) {
	text, err := s.ask(ctx, isOptions, "options")
	return options(text), err
}

// Leases asks who holds knobs. Only a device whose Options have a Lease knows.
func (s *Shell) Leases(ctx context.Context) ([]Held, error) {
	text, err := s.ask(ctx, isLeases, "leases")
	return held(text), err
}

// Lease is how long a knob is to be at a value, and for whom.
type Lease struct {
	For    time.Duration // 0: until it is turned again
	Holder string        // nobody else's lease takes the knob from it; one word, as Word makes it. "" lets it go to any
}

// Set turns a knob. Only a device whose Options have a Lease takes one.
func (s *Shell) Set(ctx context.Context, knob, value string, l Lease) error {
	words := []string{"set", knob, value}
	if l.For > 0 {
		words = l.append(words)
	}
	_, err := s.ask(ctx, done, words...)
	return err
}

// Renew has the lease of a knob that still is at a value begin again. A device on which it lapsed refuses.
func (s *Shell) Renew(ctx context.Context, knob, value string, l Lease) error {
	_, err := s.ask(ctx, isOf(knob), l.append([]string{"renew", knob, value})...)
	return err
}

func (l Lease) append(words []string) []string {
	if words = append(words, l.For.String()); l.Holder != "" {
		words = append(words, l.Holder)
	}
	return words
}

// ask has a command done, and returns its answer, one that fits.
func (s *Shell) ask(ctx context.Context, fits func(string) bool, words ...string) (text string, err error) {
	line := Prefix + strings.Join(words, " ")
	for n := range sayings {
		if n > 0 && !wait(ctx, rand.N(shortest<<n)) {
			break
		}
		if text, err = s.say(ctx, line, fits); !errors.Is(err, ErrTalkedOver) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if !fits(text) {
		return "", &Refusal{Device: s.data.Thing, Command: line, Says: refusal(text)}
	}
	return text, nil
}

// A device may take a moment for an answer. It is read again after this, and twice that, and so on.
const (
	pause    = 50 * time.Millisecond
	readings = 5
)

// say writes a command, and reads until what stands there can be its answer, or is none after all.
func (s *Shell) say(ctx context.Context, line string, fits func(string) bool) (text string, err error) {
	to := s.data
	to.Element = mqtt.At(commandAt)
	if _, err := s.client.Do(ctx, mqtt.Request{Topic: to, Operation: mqtt.Post, Data: []byte(line)}); err != nil {
		return "", err
	}
	for n := range readings {
		if n > 0 && !wait(ctx, pause<<(n-1)) {
			return "", context.Cause(ctx)
		}
		if text, err = s.read(ctx, line); err != nil || fits(text) || refused(text) {
			break
		}
	}
	return text, err
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// read reads the answer to a command, "" if there is none.
func (s *Shell) read(ctx context.Context, line string) (string, error) {
	r, err := s.client.Do(ctx, mqtt.Request{Topic: s.data, Operation: mqtt.Get})
	if err != nil {
		return "", err
	}
	v, _ := r.Objects.Property(s.data)
	if said := strings.TrimSpace(element(v, commandAt)); said != "" && said != line {
		return "", fmt.Errorf("%q on %s: %w", line, s.data.Thing, ErrTalkedOver)
	}
	text := element(v, answerAt)
	if len(text) > maxAnswer {
		return "", fmt.Errorf("%q on %s: an answer of %d bytes", line, s.data.Thing, len(text))
	}
	return strings.ToValidUTF8(text, "?"), nil
}

// element is one of the two texts, whether the gateway sends them in an array, in a map by number, or the answer alone.
func element(v any, n int) string {
	switch v := v.(type) {
	case []any:
		if len(v) == 1 && n == answerAt {
			return text(v[0])
		}
		if len(v) > 1 && n < len(v) {
			return text(v[n])
		}
	case map[string]any:
		return text(v[strconv.Itoa(n)])
	default:
		if n == answerAt {
			return text(v)
		}
	}
	return ""
}

func text(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string: // byte-string in JSON (RFC 9880, 4.7)
		if raw, err := base64.RawURLEncoding.DecodeString(v); err == nil {
			return string(raw)
		}
		return v
	}
	return ""
}
