package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// A step of an observation's life: after some time the number becomes this, or only time passes.
type step struct {
	after time.Duration
	set   float64
	still bool // the number stays as it is
}

func TestAttributes(t *testing.T) {
	s := time.Second
	tests := []struct {
		name       string
		attributes string // written to the resource
		path       string // /3303/0/5700 if empty
		steps      []step
		want       string // "at:value" of the notifications, in seconds since the observation
	}{
		{name: "none: each change", steps: []step{{1 * s, 21, false}, {1 * s, 21, false}, {1 * s, 22, false}}, want: "1:21 3:22"},
		{name: "pmin holds back", attributes: "pmin=10", steps: []step{{1 * s, 21, false}, {1 * s, 22, false}, {20 * s, 0, true}}, want: "10:22"},
		{name: "pmin is no delay later", attributes: "pmin=10", steps: []step{{15 * s, 21, false}, {1 * s, 22, false}, {20 * s, 0, true}}, want: "15:21 25:22"},
		{name: "pmax without change", attributes: "pmax=10", steps: []step{{25 * s, 0, true}}, want: "10:20 20:20"},
		{name: "pmax after change", attributes: "pmax=10", steps: []step{{4 * s, 21, false}, {15 * s, 0, true}}, want: "4:21 14:21"},
		{name: "pmax below pmin is ignored", attributes: "pmin=20&pmax=10", steps: []step{{30 * s, 0, true}, {1 * s, 21, false}}, want: "31:21"},
		{name: "pmin equal to pmax", attributes: "pmin=10&pmax=10", steps: []step{{1 * s, 21, false}, {30 * s, 0, true}}, want: "10:21 20:21 30:21"},
		{name: "gt crossed both ways", attributes: "gt=25", steps: []step{{1 * s, 24, false}, {1 * s, 26, false}, {1 * s, 28, false}, {1 * s, 25, false}}, want: "2:26 4:25"},
		{name: "gt is beyond, not at", attributes: "gt=25", steps: []step{{1 * s, 25, false}}, want: ""},
		{name: "lt crossed both ways", attributes: "lt=10", steps: []step{{1 * s, 12, false}, {1 * s, 9, false}, {1 * s, 8, false}, {1 * s, 11, false}}, want: "2:9 4:11"},
		{name: "lt and gt", attributes: "lt=10&gt=30", steps: []step{{1 * s, 31, false}, {1 * s, 20, false}, {1 * s, 9, false}}, want: "1:31 2:20 3:9"},
		{name: "st from what was sent", attributes: "st=5", steps: []step{{1 * s, 23, false}, {1 * s, 24.9, false}, {1 * s, 25, false}, {1 * s, 21, false}, {1 * s, 20, false}}, want: "3:25 5:20"},
		{name: "gt with pmin: crossing there and back is told", attributes: "gt=25&pmin=10", steps: []step{{1 * s, 26, false}, {1 * s, 20, false}, {20 * s, 0, true}}, want: "10:20"},
		{name: "gt with pmax: pmax needs no crossing", attributes: "gt=25&pmax=10", steps: []step{{1 * s, 21, false}, {10 * s, 0, true}}, want: "10:21"},
		{name: "st or gt", attributes: "st=5&gt=22", steps: []step{{1 * s, 23, false}, {1 * s, 24, false}, {1 * s, 28, false}}, want: "1:23 3:28"},
		{name: "epmin spaces evaluations", attributes: "epmin=10&gt=25", steps: []step{{1 * s, 26, false}, {1 * s, 20, false}, {20 * s, 0, true}}, want: ""},
		{name: "epmin and then the change", attributes: "epmin=10", steps: []step{{1 * s, 26, false}, {20 * s, 0, true}}, want: "10:26"},
		{name: "sampled without being told", path: "/3303/0/5602", steps: []step{{1 * s, 21, false}, {20 * s, 0, true}}, want: "10:21"},
		{name: "epmax sets the sampling", path: "/3303/0/5602", attributes: "epmax=3", steps: []step{{1 * s, 21, false}, {20 * s, 0, true}}, want: "3:21"},
		{name: "rising edge", path: "/3303/0/5500", attributes: "edge=1", steps: []step{{1 * s, 0, false}, {1 * s, 1, false}, {1 * s, 0, false}, {1 * s, 1, false}}, want: "2:1 4:1"},
		{name: "falling edge", path: "/3303/0/5500", attributes: "edge=0", steps: []step{{1 * s, 0, false}, {1 * s, 1, false}, {1 * s, 0, false}}, want: "1:0 3:0"},
		{name: "not confirmable", attributes: "con=0", steps: []step{{1 * s, 21, false}}, want: "1:21 NON"},
		{name: "confirmable", attributes: "con=1", steps: []step{{1 * s, 21, false}}, want: "1:21"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, nil)
				synctest.Wait()
				path := "/3303/0/5700"
				if tt.path != "" {
					path = tt.path
				}
				if path == "/3303/0/5500" {
					d.gauge.set(1)
				}
				if tt.attributes != "" {
					if r := d.network.ask(say(coap.PUT, path, strings.Split(tt.attributes, "&")...)); r.Code != coap.Changed {
						t.Fatalf("write attributes: %s %s", r.Code, r.Payload)
					}
				}
				start := time.Now()
				var got []string
				d.network.noted = func(m *coap.Message) error {
					text := fmt.Sprintf("%d:%s", int(time.Since(start).Seconds()), m.Payload)
					if m.Type == coap.NonConfirmable {
						text += " NON"
					}
					got = append(got, text)
					return nil
				}
				reply := d.network.ask(observing(say(coap.GET, path)))
				if _, observed := reply.Uint(coap.Observe); !observed || reply.Code != coap.Content {
					t.Fatalf("observe: %v", reply)
				}
				for _, step := range tt.steps {
					wait(step.after)
					if !step.still {
						if strings.HasSuffix(path, "5602") {
							d.gauge.mu.Lock()
							d.gauge.number = step.set
							d.gauge.mu.Unlock()
						} else {
							d.gauge.set(step.set)
						}
					}
					synctest.Wait()
				}
				if diff := cmp.Diff(strings.Join(got, " "), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestAttributesInherit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		for _, m := range []*coap.Message{
			say(coap.PUT, "/3303", "pmin=1", "pmax=100"), say(coap.PUT, "/3303/0", "pmin=2"), say(coap.PUT, "/3303/0/5702", "pmin=3"),
			say(coap.PUT, "/3303/0/5702/4", "gt=9"),
		} {
			if r := d.network.ask(m); r.Code != coap.Changed {
				t.Fatalf("%s: %s", describe(m), r.Code)
			}
		}
		r := d.network.ask(accepting(say(coap.GET, "/3303/0/5702/4"), lwm2m.FormatLinks))
		if diff := cmp.Diff(string(r.Payload), "</3303/0/5702/4>;pmin=3;pmax=100;gt=9"); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
		r = d.network.ask(accepting(say(coap.GET, "/3303", "depth=1"), lwm2m.FormatLinks))
		if diff := cmp.Diff(string(r.Payload), "</3303>;ver=1.1;pmin=1;pmax=100,</3303/0>;pmin=2"); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
	})
}

func TestAttributeStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) { c.Limits.Attributes = 3; c.Limits.Observations = 2 })
		synctest.Wait()
		codes := map[coap.Code]int{}
		for _, p := range []string{"/3303", "/3303/0", "/3303/0/5700", "/3303/0/5701", "/3303/0/5702"} {
			codes[d.network.ask(say(coap.PUT, p, "pmin=1")).Code]++
		}
		if codes[coap.Changed] != 3 || codes[coap.ServiceUnavailable] != 2 {
			t.Errorf("attributes: %v", codes)
		}
		observed := 0
		for _, p := range []string{"/3303", "/3303/0", "/3303/0/5700", "/3303/0/5701"} {
			reply := d.network.ask(observing(accepting(say(coap.GET, p), lwm2m.FormatSenMLJSON)))
			if _, yes := reply.Uint(coap.Observe); yes {
				observed++
			}
			if reply.Code != coap.Content {
				t.Errorf("observe %s: %s", p, reply.Code)
			}
		}
		if observed != 2 || d.Standings()[0].Observations != 2 {
			t.Errorf("%d observations, want 2", observed)
		}
	})
}

func TestAttributesSurvive(t *testing.T) {
	store := Folder(t.TempDir())
	for round := range 2 {
		synctest.Test(t, func(t *testing.T) {
			d := startDevice(t, func(c *Config) { c.Store = store })
			synctest.Wait()
			if round == 0 {
				d.network.ask(say(coap.PUT, "/3303/0/5700", "pmin=7", "lt=-3.5"))
				return
			}
			r := d.network.ask(accepting(say(coap.GET, "/3303/0/5700"), lwm2m.FormatLinks))
			if got, want := string(r.Payload), "</3303/0/5700>;pmin=7;lt=-3.5"; got != want {
				t.Errorf("after the restart %s, want %s", got, want)
			}
		})
	}
}

func TestObservationEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(d *device, token coap.Token)
	}{
		{"by a reset", func(d *device, _ coap.Token) {
			d.network.noted = func(*coap.Message) error { return fmt.Errorf("notify: %w", coap.ErrReset) }
			d.gauge.set(1)
			synctest.Wait()
			d.network.notified()
		}},
		{"by what does not fit", func(d *device, _ coap.Token) {
			d.network.noted = func(*coap.Message) error { return fmt.Errorf("notify: %w", coap.ErrTooLarge) }
			d.gauge.set(1)
			synctest.Wait()
			d.network.notified()
		}},
		{"by a reset of one that is not confirmable", func(d *device, token coap.Token) { d.network.handler.(refuser).Refused(token) }},
		{"by a GET", func(d *device, _ coap.Token) {
			m := say(coap.GET, "/3303/0/5700")
			m.SetUint(coap.Observe, 1)
			d.network.ask(m)
		}},
		{"by a new registration", func(d *device, _ coap.Token) {
			d.network.answer = func(m *coap.Message) (*coap.Message, error) {
				if m.Path() == "/rd/1" {
					return &coap.Message{Code: coap.NotFound}, nil
				}
				return nil, nil
			}
			d.network.ask(say(coap.POST, "/1/0/8"))
			wait(time.Second)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, nil)
				synctest.Wait()
				m := observing(say(coap.GET, "/3303/0/5700"))
				d.network.ask(m)
				tt.end(d, m.Token)
				d.gauge.set(99)
				wait(time.Second)
				if got := d.network.notified(); len(got) > 0 || d.Standings()[0].Observations != 0 {
					t.Errorf("still %v, %d observations", got, d.Standings()[0].Observations)
				}
			})
		})
	}
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		d.network.ask(say(coap.PUT, "/3303/0/5700", "hqmax=3"))
		d.network.ask(observing(accepting(say(coap.GET, "/3303/0/5700"), lwm2m.FormatSenMLJSON)))
		d.network.mu.Lock()
		d.network.answer = func(*coap.Message) (*coap.Message, error) { return nil, coap.ErrTimeout }
		d.network.noted = func(*coap.Message) error { return coap.ErrTimeout }
		d.network.mu.Unlock()
		for n := range 6 {
			d.gauge.set(float64(n))
			wait(2 * time.Second)
		}
		d.network.notified()
		d.network.mu.Lock()
		d.network.answer, d.network.noted = nil, nil
		d.network.mu.Unlock()
		wait(5 * time.Minute)
		got := d.network.notified()
		if len(got) != 1 || strings.Count(got[0], `"v":`) != 3 || !strings.Contains(got[0], `"v":5`) || !strings.Contains(got[0], `"v":3`) {
			t.Errorf("after the outage: %q", got)
		}
	})
}

func TestComposite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, nil)
		synctest.Wait()
		m := accepting(with(say(coap.FETCH, "/", "pmin=5"), lwm2m.FormatSenMLJSON, composite(t, "/3303/0/5700", "/3303/0/5701")), lwm2m.FormatSenMLJSON)
		if r := d.network.ask(observing(m)); r.Code != coap.Content {
			t.Fatalf("%s %s", r.Code, r.Payload)
		}
		d.gauge.set(21)
		wait(time.Second)
		if got := d.network.notified(); len(got) != 0 {
			t.Errorf("within pmin: %v", got)
		}
		wait(5 * time.Second)
		want := []string{`[{"n":"/3303/0/5700","v":21},{"n":"/3303/0/5701","vs":""}]`}
		if diff := cmp.Diff(d.network.notified(), want); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
	})
}

// TestHistoryStaysBounded: values that come while a notification waits for its acknowledgement, and fails, make the history no longer than
// hqmax and the limit say.
func TestHistoryStaysBounded(t *testing.T) {
	const limit = 5
	o := &observation{paths: []lwm2m.Path{lwm2m.MustParsePath("/3303/0/5700")}}
	o.attributes = lwm2m.Attributes{Has: lwm2m.HQMax, HQMax: 3}
	now, value := time.Unix(1000, 0), 0.0
	come := func() {
		for range 4 {
			now, value = now.Add(time.Second), value+1
			o.evaluate(now, lwm2m.Tree{{Path: o.paths[0], Value: lwm2m.Float(value)}}, limit-len(o.history))
		}
	}
	come()
	for range 10 {
		history, worth := o.history, o.worth
		o.delivered(now, lwm2m.Tree{})
		come()
		o.undelivered(history, worth, limit-len(o.history))
	}
	var got []float64
	for _, r := range o.history {
		got = append(got, r.Value.Float())
	}
	if want := []float64{value - 2, value - 1, value}; !slices.Equal(got, want) || o.worth != len(want) {
		t.Errorf("history %v worth %d, want %v", got, o.worth, want)
	}
}
