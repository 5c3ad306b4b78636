package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// accountJSON writes server 7 as instance 1 of Security and Server.
const (
	securityJSON = `[{"bn":"/0/1/","n":"0","vs":"coap://real"},{"n":"1","vb":false},{"n":"2","v":3},{"n":"3","vd":""},{"n":"4","vd":""},{"n":"5","vd":""},{"n":"10","v":7}]`
	serverJSON   = `[{"bn":"/1/1/","n":"0","v":7},{"n":"1","v":300},{"n":"6","vb":true},{"n":"7","vs":"U"}]`
)

func fromFactory(store Store) func(*Config) {
	return func(c *Config) {
		c.Accounts = []Account{{URI: "coap://bootstrap", Bootstrap: true, Mode: NoSec}}
		c.Store = store
	}
}

func bootstrapWrite(path, payload string) *coap.Message {
	return with(say(coap.PUT, path), lwm2m.FormatSenMLJSON, payload)
}

func TestBootstrap(t *testing.T) {
	asked := []string{"POST /bs?ep=dev&pct=112"}
	then := append(asked, "POST /rd?ep=dev&lwm2m=1.2&lt=300&b=U")
	type exchange struct {
		request *coap.Message
		code    coap.Code
	}
	finish := exchange{say(coap.POST, "/bs"), coap.Changed}
	security, server := exchange{bootstrapWrite("/0/1", securityJSON), coap.Changed}, exchange{bootstrapWrite("/1/1", serverJSON), coap.Changed}
	tests := []struct {
		name      string
		exchanges []exchange
		want      []string
	}{
		{"writes and finishes", []exchange{security, server, finish}, then},
		{"deletes first", []exchange{{say(coap.DELETE, "/"), coap.Deleted}, security, server, finish}, then},
		{"writes objects whole", []exchange{{bootstrapWrite("/0", securityJSON), coap.Changed}, {bootstrapWrite("/1", serverJSON), coap.Changed}, finish}, then},
		{"writes twice", []exchange{security, security, server, server, finish}, then},
		{"finishes without an account", []exchange{{say(coap.POST, "/bs"), coap.NotAcceptable}}, asked},
		{"finishes with half an account", []exchange{security, {say(coap.POST, "/bs"), coap.NotAcceptable}}, asked},
		{"finishes after it was told what is missing", []exchange{security, {say(coap.POST, "/bs"), coap.NotAcceptable}, server, finish}, then},
		{"deletes its own account", []exchange{{say(coap.DELETE, "/0/0"), coap.BadRequest}, security, server, finish}, then},
		{"deletes what has to be there", []exchange{{say(coap.DELETE, "/3303"), coap.MethodNotAllowed}}, asked},
		{"reads a key", []exchange{{say(coap.GET, "/0/0"), coap.MethodNotAllowed}}, asked},
		{"reads the server object", []exchange{server, {say(coap.GET, "/1/1/1"), coap.Content}}, asked},
		{"writes nonsense", []exchange{{bootstrapWrite("/0/1", "{"), coap.BadRequest}}, asked},
		{"writes an account without a place", []exchange{{bootstrapWrite("/0/1", `[{"n":"/0/1/2","v":3}]`), coap.BadRequest}}, asked},
		{"writes a binding that is none", []exchange{{bootstrapWrite("/1/1", `[{"n":"/1/1/0","v":7},{"n":"/1/1/1","v":7},{"n":"/1/1/6","vb":true},{"n":"/1/1/7","vs":"X"}]`), coap.BadRequest}}, asked},
		{"writes to no object", []exchange{{bootstrapWrite("/77/1", `[{"n":"/77/1/2","v":3}]`), coap.NotFound}}, asked},
		{"writes another object", []exchange{{bootstrapWrite("/35001/0", `[{"n":"/35001/0/27200","vs":"a"}]`), coap.Changed}, security, server, finish}, then},
		{"executes", []exchange{{say(coap.POST, "/3303/0/5605"), coap.MethodNotAllowed}}, asked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, fromFactory(nil))
				synctest.Wait()
				for _, x := range tt.exchanges {
					if reply := d.network.ask(x.request); reply.Code != x.code {
						t.Errorf("%s: %s %s, want %s", describe(x.request), reply.Code, reply.Payload, x.code)
					}
				}
				wait(time.Second)
				if diff := cmp.Diff(d.network.take(), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestBootstrapDiscover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, fromFactory(nil))
		synctest.Wait()
		d.network.ask(bootstrapWrite("/0/1", securityJSON))
		d.network.ask(bootstrapWrite("/1/1", serverJSON))
		got := string(d.network.ask(accepting(say(coap.GET, "/"), lwm2m.FormatLinks)).Payload)
		want := `</>;lwm2m=1.2,</0>;ver=1.2,</0/0>,</0/1>;ssid=7;uri="coap://real",</1>;ver=1.2,</1/1>;ssid=7,</3303>;ver=1.1,</3303/0>,</35001>`
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
	})
}

// TestBootstrapIsAllOrNothing: accounts survive a restart only once the server has finished.
func TestBootstrapIsAllOrNothing(t *testing.T) {
	tests := []struct {
		name   string
		finish bool
		want   []string // of the next life
	}{
		{"cut off", false, []string{"POST /bs?ep=dev&pct=112"}},
		{"finished", true, []string{"POST /rd?ep=dev&lwm2m=1.2&lt=300&b=U"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := Folder(t.TempDir())
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, fromFactory(store))
				synctest.Wait()
				d.network.ask(say(coap.DELETE, "/"))
				d.network.ask(bootstrapWrite("/0/1", securityJSON))
				d.network.ask(bootstrapWrite("/1/1", serverJSON))
				if tt.finish {
					d.network.ask(say(coap.POST, "/bs"))
				}
				wait(time.Second)
			})
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, fromFactory(store))
				synctest.Wait()
				if diff := cmp.Diff(d.network.take(), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestBootstrapFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, fromFactory(nil))
		synctest.Wait()
		d.network.ask(bootstrapWrite("/0/1", securityJSON))
		wait(exchangeLife + 10*time.Second)
		if got := d.network.take(); len(got) != 2 {
			t.Errorf("%v, want a second request", got)
		}
		if got := d.accounts.each(false); len(got) != 0 {
			t.Errorf("half an account is left: %v", got)
		}
	})
}

func TestBootstrapPack(t *testing.T) {
	pack := securityJSON[:len(securityJSON)-1] + `,` + serverJSON[1:]
	tests := []struct {
		name   string
		answer func() *coap.Message
		want   []string
	}{
		{"taken", func() *coap.Message { return with(&coap.Message{Code: coap.Content}, lwm2m.FormatSenMLJSON, pack) }, []string{"GET /bspack?ep=dev", "POST /rd?ep=dev&lwm2m=1.2&lt=300&b=U"}},
		{"not there", func() *coap.Message { return &coap.Message{Code: coap.NotFound} }, []string{"GET /bspack?ep=dev", "POST /bs?ep=dev&pct=112"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, func(c *Config) {
					fromFactory(nil)(c)
					c.Pack = true
					c.Network.(*scripted).answer = func(m *coap.Message) (*coap.Message, error) {
						if m.Path() == "/bspack" {
							return tt.answer(), nil
						}
						return nil, nil
					}
				})
				wait(time.Second)
				if diff := cmp.Diff(d.network.take(), tt.want); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
			})
		})
	}
}

func TestBootstrapAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) {
			c.Accounts = append(c.Accounts, Account{URI: "coap://bootstrap", Bootstrap: true, Mode: NoSec})
		})
		synctest.Wait()
		d.network.take()
		if r := d.network.ask(say(coap.POST, "/1/0/9")); r.Code != coap.Changed {
			t.Fatalf("trigger: %s", r.Code)
		}
		wait(time.Second)
		want := []string{"DELETE /rd/1", "POST /bs?ep=dev&pct=112"}
		if diff := cmp.Diff(d.network.take(), want); diff != "" {
			t.Errorf("got -, want +:\n%s", diff)
		}
	})
}

func TestNoServerAtAll(t *testing.T) {
	c, err := New(Config{Endpoint: "dev", Network: &scripted{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("run without a server: %v", err)
	}
}
