package mqtt

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Debian's clients of MQTT v5 speak to the built-in broker, and through it to a thing, as D3.3, 6.3.2 writes it.
func TestMosquittoClients(t *testing.T) {
	rr, pub, sub := program(t, "mosquitto_rr"), program(t, "mosquitto_pub"), program(t, "mosquitto_sub")
	b, address := startBroker(t, BrokerConfig{})
	things := newShelf()
	serve(t, b.Bus("gateway"), b.Bus("watch"), things, ServeConfig{})
	host, port, _ := strings.Cut(strings.TrimPrefix(address, "mqtt://"), ":")
	at := []string{"-h", host, "-p", port, "-V", "5"}

	t.Run("request and response", func(t *testing.T) {
		for _, reply := range []string{"reply/rr/1", "reply/me", "my/answers"} {
			got := output(t, rr, append(at, "-i", "rr", "-t", "sensor-1/Device/0/Property/Battery", "-e", reply, "-m", `{"operation":"GET"}`, "-W", "100")...)
			want := `{"response_code":205,"sdfObject":{"Device":[{"label":0,"sdfProperty":{"Battery":"Battery"}}]}}`
			if strings.TrimSpace(got) != want {
				t.Errorf("got %s", got)
			}
		}
	})
	t.Run("request without response", func(t *testing.T) {
		output(t, pub, append(at, "-t", "sensor-1/LWM2M_Software_Management", "-m", `{"operation": "POST", "data": {"label": 1}}`)...)
		eventually(t, "the request", func() bool { return things.count(Post) == 1 })
	})
	t.Run("the steps of D3.3", func(t *testing.T) {
		const software = "sensor-2/LWM2M_Software_Management"
		steps := []struct{ topic, payload string }{
			{software, `{"operation": "POST", "data": {"label": 7}}`},
			{software + "/7/Property/Package", `{"operation": "POST", "data": {"schemaVersion": 2, "layers": [{"size": 4885}]}}`},
			{software + "/7/Action/Install", `{"operation": "POST"}`},
			{software + "/7/Action/Activate", `{"operation": "POST"}`},
			{"sensor-2/Software_Package_Monitoring", `{"operation": "GET"}`},
		}
		var want []Topic
		for _, step := range steps {
			got := output(t, rr, append(at, "-t", step.topic, "-e", "answers", "-m", step.payload, "-W", "100")...)
			if !strings.Contains(got, `"response_code":20`) {
				t.Errorf("%s: %s", step.topic, got)
			}
			topic, err := ParseTopic(step.topic)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, topic)
		}
		if diff := cmp.Diff(things.topics("sensor-2"), want); diff != "" {
			t.Errorf("(-asked +want)\n%s", diff)
		}
	})
	t.Run("who comes and goes, as D3.3 has it", func(t *testing.T) {
		heard := make(chan string, 1)
		go func() {
			out, err := exec.CommandContext(t.Context(), sub, append(at, "-t", "announce", "-t", "unregister", "-C", "2", "-W", "100", "-v")...).CombinedOutput()
			heard <- fmt.Sprint(string(out), err)
		}()
		eventually(t, "its subscriptions", func() bool {
			return len(b.server.Topics.Subscribers("announce").Subscriptions) == 1 && len(b.server.Topics.Subscribers("unregister").Subscriptions) == 1
		})
		if err := errors.Join(Announce(t.Context(), b.Bus("gateway"), &Announcement{Thing: "sensor-3"}), Unregister(t.Context(), b.Bus("gateway"), &Farewell{Thing: "sensor-3", Reason: "expired"})); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; !strings.HasPrefix(got, `announce {"endpoint":"sensor-3",`) || !strings.Contains(got, "\n"+`unregister {"endpoint":"sensor-3","reason":"expired",`) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("announcements and events", func(t *testing.T) {
		if err := Announce(t.Context(), b.Bus("gateway"), &Announcement{Thing: "sensor-1"}); err != nil {
			t.Fatal(err)
		}
		got := output(t, sub, append(at, "-t", "announce/+", "-C", "1", "-W", "100")...)
		if !strings.Contains(got, `"endpoint":"sensor-1"`) {
			t.Errorf("got %s", got)
		}
	})
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// The connection outlives its broker: subscriptions are made again, and the gateway announces again.
func TestBrokerThatComesBack(t *testing.T) {
	address, stop := startMosquitto(t)
	ups, downs := make(chan bool, 16), make(chan error, 64)
	c := dial(t, DialConfig{Address: address, Up: func(context.Context) { ups <- true }, Down: func(err error) { downs <- err }})
	<-ups
	in := subscribe(t, c, "x")
	stop()
	<-downs
	if err := c.Publish(t.Context(), &Message{Topic: "x"}); err == nil {
		t.Error("it publishes to nobody")
	}
	startMosquittoAt(t, address)
	<-ups
	other := dial(t, DialConfig{Address: address})
	publish(t, other, Message{Topic: "x"})
	in.next(t)
}

// A gateway that was cut off says that it is back, since another time than before, so that observations are asked for again; and so to a broker that
// has forgotten all.
func TestGatewayThatComesBack(t *testing.T) {
	address, stop := startMosquitto(t)
	gateway := dial(t, DialConfig{Address: address, Gateway: "here"})
	elsewhere := dial(t, DialConfig{Address: address})
	present := make(chan Presence, 16)
	cancel, err := newClient(t, elsewhere, ClientConfig{}).Watch(t.Context(), Watcher{Gateway: func(p Presence) { present <- p }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	end := run(t, func(ctx context.Context) error { return Serve(ctx, gateway, newShelf(), ServeConfig{Name: "here"}) })
	next := func(what string, wanted func(Presence) bool) Presence {
		t.Helper()
		for {
			select {
			case p := <-present:
				if wanted(p) {
					return p
				}
			case <-time.After(patience):
				t.Fatalf("%s is not told", what)
			}
		}
	}
	first := next("that it is there", func(p Presence) bool { return p.Online })
	gateway.manager.TerminateConnectionForTest()
	next("that it is away", func(p Presence) bool { return !p.Online })
	second := next("that it is back", func(p Presence) bool { return p.Online && !p.Time.Equal(first.Time) })
	stop()
	startMosquittoAt(t, address)
	next("that it is back at a broker that has forgotten it", func(p Presence) bool {
		return p.Online && !p.Time.Equal(first.Time) && !p.Time.Equal(second.Time)
	})
	end()
	next("that it has ended", func(p Presence) bool { return !p.Online })
}

// When a gateway is cut off, the broker says that the gateway is gone, and nothing of its things.
func TestGatewayOutageIsNotTheDeathOfDevices(t *testing.T) {
	address, _ := startMosquitto(t)
	gateway := dial(t, DialConfig{Address: address, Gateway: "here"})
	elsewhere := dial(t, DialConfig{Address: address})
	publish(t, gateway, *Presence{Name: "here", Online: true}.message())
	if err := Announce(t.Context(), gateway, &Announcement{Thing: "sensor-1"}); err != nil {
		t.Fatal(err)
	}
	present, gone, announced := make(chan Presence, 16), make(chan *Farewell, 4), make(chan *Announcement, 4)
	cancel, err := newClient(t, elsewhere, ClientConfig{}).Watch(t.Context(), Watcher{
		Gateway: func(p Presence) { present <- p }, Gone: func(f *Farewell) { gone <- f }, Announced: func(a *Announcement) { announced <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if p := <-present; !p.Online {
		t.Error("it is not there at first")
	}
	gateway.manager.TerminateConnectionForTest()
	for p := range present {
		if !p.Online {
			break
		}
	}
	if a := <-announced; a.Thing != "sensor-1" || len(gone) > 0 {
		t.Errorf("announced %s, %d gone", a.Thing, len(gone))
	}
}
