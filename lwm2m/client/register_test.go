package client

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// wait lets fake time pass.
func wait(d time.Duration) {
	time.Sleep(d) // in a bubble of synctest
	synctest.Wait()
}

// register is the first request of the device of startDevice.
const register = "POST /rd?ep=dev&lwm2m=1.2&lt=600&b=U"

func TestRegistration(t *testing.T) {
	rejected := func(code coap.Code) func(*coap.Message) (*coap.Message, error) {
		return func(*coap.Message) (*coap.Message, error) { return &coap.Message{Code: code}, nil }
	}
	tests := []struct {
		name   string
		change func(*Config)
		script func(d *device)
		want   []string
	}{
		{name: "registers", script: func(*device) {}, want: []string{register}},
		{
			name: "updates in the last half of the lifetime",
			script: func(d *device) {
				wait(5 * time.Minute)
				d.network.take()
				wait(5*time.Minute - maxTransmitWait)
			},
			want: []string{"POST /rd/1"},
		},
		{
			name:   "de-registers at its end",
			script: func(d *device) { d.network.take(); d.stop(); synctest.Wait() },
			want:   []string{"DELETE /rd/1"},
		},
		{
			name:   "stays at its end if it is to be back",
			change: func(c *Config) { c.Stay = true },
			script: func(d *device) { d.network.take(); d.stop(); synctest.Wait() },
		},
		{
			name: "registers anew when it is not known any more",
			script: func(d *device) {
				d.network.take()
				d.network.answer = func(m *coap.Message) (*coap.Message, error) {
					if m.Path() == "/rd/1" {
						return &coap.Message{Code: coap.NotFound}, nil
					}
					return nil, nil
				}
				d.network.ask(say(coap.POST, "/1/0/8"))
				wait(time.Second)
			},
			want: []string{"POST /rd/1?lt=600&b=U", register},
		},
		{
			name: "reaches out anew when the server does not answer, and keeps its registration",
			script: func(d *device) {
				d.network.take()
				failed := false
				d.network.answer = func(*coap.Message) (*coap.Message, error) {
					if !failed {
						failed = true
						return nil, coap.ErrTimeout
					}
					return nil, nil
				}
				d.network.ask(say(coap.POST, "/1/0/8"))
				wait(time.Second)
			},
			want: []string{"POST /rd/1?lt=600&b=U", "POST /rd/1?lt=600&b=U"},
		},
		{
			name: "tells a new lifetime",
			script: func(d *device) {
				d.network.take()
				d.network.ask(with(say(coap.PUT, "/1/0/1"), lwm2m.FormatText, "900"))
				wait(time.Second)
			},
			want: []string{"POST /rd/1?lt=900&b=U"},
		},
		{
			name:   "tells a new address",
			script: func(d *device) { d.network.take(); d.AddressChanged(); wait(time.Second) },
			want:   []string{"POST /rd/1"},
		},
		{
			name: "leaves a server that disables it, and comes back",
			script: func(d *device) {
				d.network.take()
				d.network.ask(with(say(coap.PUT, "/1/0/5"), lwm2m.FormatText, "60"))
				d.network.ask(say(coap.POST, "/1/0/4"))
				wait(59 * time.Second)
				if got := d.Standings()[0].State; got != Disabled {
					d.network.requests = append(d.network.requests, "state "+got.String())
				}
				wait(2 * time.Second)
			},
			want: []string{"DELETE /rd/1", register},
		},
		{
			name: "falls back to what the server speaks",
			change: func(c *Config) {
				c.Network.(*scripted).answer = func(m *coap.Message) (*coap.Message, error) {
					if v, _ := m.Query("lwm2m"); v != "1.0" {
						return &coap.Message{Code: coap.PreconditionFailed}, nil
					}
					return nil, nil
				}
				c.QueueMode = true
			},
			script: func(*device) {},
			want: []string{
				"POST /rd?ep=dev&lwm2m=1.2&lt=600&b=U&Q", "POST /rd?ep=dev&lwm2m=1.1&lt=600&b=U&Q", "POST /rd?ep=dev&lwm2m=1.0&lt=600&b=UQ",
			},
		},
		{
			name:   "tries again after a no",
			change: func(c *Config) { c.Network.(*scripted).answer = rejected(coap.Forbidden) },
			script: func(*device) { wait(10 * time.Second) },
			want:   []string{register, register, register},
		},
		{
			name: "sends an echo back",
			change: func(c *Config) {
				c.Network.(*scripted).answer = func(m *coap.Message) (*coap.Message, error) {
					if _, echoed := m.Opaque(coap.Echo); !echoed {
						reply := &coap.Message{Code: coap.Unauthorized}
						reply.SetOpaque(coap.Echo, []byte("prove it"))
						return reply, nil
					}
					return nil, nil
				}
			},
			script: func(*device) { wait(time.Second) },
			want:   []string{register, register},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, tt.change)
				synctest.Wait()
				tt.script(d)
				if diff := cmp.Diff(d.network.take(), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestBusyServerIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) {
			c.Network.(*scripted).answer = func(*coap.Message) (*coap.Message, error) {
				reply := &coap.Message{Code: coap.ServiceUnavailable}
				reply.SetUint(coap.MaxAge, 100)
				return reply, nil
			}
		})
		wait(99 * time.Second)
		if got := d.network.take(); len(got) != 1 {
			t.Errorf("%d requests within Max-Age", len(got))
		}
		wait(60 * time.Second)
		if got := d.network.take(); len(got) != 1 {
			t.Errorf("%d requests after Max-Age", len(got))
		}
	})
}

func TestQueueMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) { c.QueueMode = true })
		synctest.Wait()
		asleep := func() bool {
			d.network.mu.Lock()
			defer d.network.mu.Unlock()
			return d.network.asleep
		}
		wait(maxTransmitWait - time.Second)
		if asleep() {
			t.Error("asleep before its time")
		}
		d.network.ask(say(coap.GET, "/3303/0/5700"))
		wait(5 * time.Second)
		if asleep() {
			t.Error("asleep while the server asks")
		}
		wait(maxTransmitWait)
		if !asleep() {
			t.Error("awake though nothing happens")
		}
		wait(320 * time.Second)
		if got := d.network.take(); len(got) < 2 || asleep() {
			t.Errorf("no update: %v, asleep %v", got, asleep())
		}
	})
}

func TestServersInOrder(t *testing.T) {
	const first, second = "POST /rd?ep=dev&lwm2m=1.2&lt=600&b=U", "POST /rd?ep=dev&lwm2m=1.2&lt=700&b=U"
	refuse := func(m *coap.Message) (*coap.Message, error) {
		if lt, _ := m.Query("lt"); lt == "600" {
			return &coap.Message{Code: coap.Forbidden}, nil
		}
		return nil, nil
	}
	tests := []struct {
		name   string
		set    map[string]lwm2m.Value
		answer func(*coap.Message) (*coap.Message, error)
		want   []string // within the first 3 seconds
	}{
		{"by priority", map[string]lwm2m.Value{"/1/0/13": lwm2m.Unsigned(9), "/1/1/13": lwm2m.Unsigned(1)}, nil, []string{second, first}},
		{"one has a place, the other has not", map[string]lwm2m.Value{"/1/1/13": lwm2m.Unsigned(1), "/1/0/14": lwm2m.Unsigned(1)}, nil, []string{second, first}},
		{"with a delay", map[string]lwm2m.Value{"/1/0/13": lwm2m.Unsigned(1), "/1/1/13": lwm2m.Unsigned(2), "/1/1/14": lwm2m.Unsigned(60)}, nil, []string{first}},
		{"the first refuses", map[string]lwm2m.Value{"/1/0/13": lwm2m.Unsigned(1), "/1/1/13": lwm2m.Unsigned(2)}, refuse, []string{first, second}},
		{
			"the first refuses and blocks",
			map[string]lwm2m.Value{"/1/0/13": lwm2m.Unsigned(1), "/1/1/13": lwm2m.Unsigned(2), "/1/0/15": lwm2m.Boolean(true)}, refuse, []string{first},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &scripted{answer: tt.answer}
				c, err := New(Config{Endpoint: "dev", Network: network, Accounts: []Account{
					{URI: "coap://first", Short: 1, Mode: NoSec, Lifetime: 600 * time.Second},
					{URI: "coap://second", Short: 2, Mode: NoSec, Lifetime: 700 * time.Second},
				}})
				if err != nil {
					t.Fatal(err)
				}
				for p, v := range tt.set {
					if err := c.accounts.servers.Set(lwm2m.MustParsePath(p), v); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- c.Run(ctx) }()
				wait(1900 * time.Millisecond)
				if diff := cmp.Diff(network.take(), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedDeviceBootstrapsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) {
			c.Accounts = append(c.Accounts, Account{URI: "coap://bootstrap", Bootstrap: true, Mode: NoSec})
			c.Network.(*scripted).answer = func(m *coap.Message) (*coap.Message, error) {
				if m.Path() == "/rd" {
					return &coap.Message{Code: coap.Forbidden}, nil
				}
				return nil, nil
			}
		})
		wait(time.Second)
		if diff := cmp.Diff(d.network.take(), []string{register, "POST /bs?ep=dev&pct=112"}); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
	})
}

// TestEngineIsSmall bounds what a registered device with ten observations holds, without its transport.
func TestEngineIsSmall(t *testing.T) {
	const devices, most = 50, 32 << 10
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	synctest.Test(t, func(t *testing.T) {
		before := heap()
		var all []*device
		for range devices {
			d := startDevice(t, nil)
			all = append(all, d)
			synctest.Wait()
			for i := range 10 {
				m := observing(say(coap.GET, "/3303/0/5700"))
				if i > 0 {
					m = observing(accepting(with(say(coap.FETCH, "/"), lwm2m.FormatSenMLJSON, composite(t, "/3303/0/5700", "/1/0/"+strconv.Itoa(i))), lwm2m.FormatSenMLCBOR))
				}
				m.Token = coap.TokenOf([]byte{byte(i)})
				d.network.ask(m)
			}
			if n := d.Standings()[0].Observations; n != 10 {
				t.Fatalf("%d observations", n)
			}
		}
		each := (heap() - before) / devices
		t.Logf("%d bytes of heap each", each)
		if each > most {
			t.Errorf("%d bytes of heap each, want at most %d", each, most)
		}
		runtime.KeepAlive(all)
	})
}
