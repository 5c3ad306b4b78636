package mqtt

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal is a log that is written and read at a time.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.text.String()), "\n")
}

// The log names each client whose answer would have gone to another, and each once.
func TestAnswersForAnotherAreLogged(t *testing.T) {
	log := &journal{}
	_, address := startBroker(t, BrokerConfig{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	victim := dial(t, DialConfig{Address: address, Name: "victim"})
	fence := subscribe(t, victim, "fence/#")
	for _, name := range []string{"mallory", "trudy"} {
		c := dial(t, DialConfig{Address: address, Name: name})
		for range 3 {
			publish(t, c, Message{Topic: "sensor-1/Device", ResponseTopic: "reply/" + victim.Name() + "/x"})
		}
		publish(t, c, Message{Topic: "fence/" + name})
		fence.next(t)
	}
	lines := log.lines()
	if len(lines) != 2 {
		t.Fatalf("logged %q", lines)
	}
	for i, name := range []string{"mallory", "trudy"} {
		for _, part := range []string{"level=WARN", "client=" + name, "topic=sensor-1/Device", "response_topic=reply/victim/x"} {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%s is missing in %s", part, lines[i])
			}
		}
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	var c complaints
	at := time.Unix(1_700_000_000, 0)
	said := 0
	for i := range 2 * maxComplaints {
		if c.now(fmt.Sprint(i), at) {
			said++
		}
	}
	if said != maxComplaints {
		t.Errorf("%d clients are told of in a minute", said)
	}
	if c.now("0", at.Add(59*time.Second)) || !c.now("0", at.Add(time.Minute)) || c.now("0", at.Add(119*time.Second)) {
		t.Error("a client is not told of once a minute")
	}
}
