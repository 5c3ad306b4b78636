package client

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// control is an entry of the Access Control object: who owns an instance, and what others may.
func control(entry, object, instance uint16, owner int64, list map[uint16]int64) lwm2m.Tree {
	p := lwm2m.PathOf(objectAccess, entry)
	t := lwm2m.Tree{
		{Path: p.Child(accessObject), Value: lwm2m.Integer(int64(object))}, {Path: p.Child(accessInstance), Value: lwm2m.Integer(int64(instance))},
		{Path: p.Child(accessOwner), Value: lwm2m.Integer(owner)},
	}
	for server, rights := range list {
		t = append(t, lwm2m.Record{Path: p.Child(accessList).Child(server), Value: lwm2m.Integer(rights)})
	}
	return t
}

func TestAccess(t *testing.T) {
	read, write := say(coap.GET, "/3303/0/5700"), with(say(coap.PUT, "/3303/0/5701"), lwm2m.FormatText, "x")
	execute, create := say(coap.POST, "/3303/0/5605"), with(say(coap.POST, "/35001"), lwm2m.FormatSenMLJSON, `[{"n":"/35001/3/27200","vs":"a"}]`)
	give := with(say(coap.PUT, "/2/0"), lwm2m.FormatSenMLJSON, `[{"n":"/2/0/2/2","v":1},{"n":"/2/0/3","v":1}]`)
	remove, see := say(coap.DELETE, "/2/0"), accepting(say(coap.GET, "/2"), lwm2m.FormatSenMLJSON)
	tests := []struct {
		name    string
		servers int
		entries []lwm2m.Tree
		request *coap.Message
		code    coap.Code
	}{
		{"one server may everything", 1, nil, read, coap.Content},
		{"two servers and no entry: nobody", 2, nil, read, coap.Unauthorized},
		{"the owner", 2, []lwm2m.Tree{control(0, 3303, 0, 1, nil)}, write, coap.Changed},
		{"not the owner", 2, []lwm2m.Tree{control(0, 3303, 0, 2, nil)}, read, coap.Unauthorized},
		{"everybody may read", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{0: 1})}, read, coap.Content},
		{"everybody may read, not write", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{0: 1})}, write, coap.Unauthorized},
		{"its own entry counts, not everybody's", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{0: 31, 1: 2})}, read, coap.Unauthorized},
		{"an owner with an entry has that", 2, []lwm2m.Tree{control(0, 3303, 0, 1, map[uint16]int64{1: 1})}, write, coap.Unauthorized},
		{"execute", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{1: 4})}, execute, coap.Changed},
		{"not execute", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{1: 3})}, execute, coap.Unauthorized},
		{"create", 2, []lwm2m.Tree{control(0, 35001, lwm2m.NoID, 2, map[uint16]int64{1: 16})}, create, coap.Created},
		{"not create", 2, []lwm2m.Tree{control(0, 35001, lwm2m.NoID, 2, map[uint16]int64{1: 15})}, create, coap.Unauthorized},
		{"its owner changes an entry", 2, []lwm2m.Tree{control(0, 3303, 0, 1, nil)}, give, coap.Changed},
		{"nobody else changes an entry", 2, []lwm2m.Tree{control(0, 3303, 0, 2, map[uint16]int64{0: 31, 1: 31})}, give, coap.Unauthorized},
		{"nobody removes an entry alone", 2, []lwm2m.Tree{control(0, 3303, 0, 1, nil)}, remove, coap.Unauthorized},
		{"a server sees its entries", 2, []lwm2m.Tree{control(0, 3303, 0, 1, nil), control(1, 3303, 1, 2, nil)}, see, coap.Content},
		{"an object leaves out what is not for the server", 2, nil, accepting(say(coap.GET, "/3303"), lwm2m.FormatSenMLJSON), coap.Content},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := startDevice(t, func(c *Config) {
					c.Control = true
					if tt.servers == 2 {
						c.Accounts = append(c.Accounts, Account{URI: "coap://second", Short: 2, Mode: NoSec})
					}
				})
				synctest.Wait()
				for i, e := range tt.entries {
					e.Sort()
					if err := d.accounts.access.Create(lwm2m.PathOf(objectAccess, uint16(i)), e); err != nil {
						t.Fatal(err)
					}
				}
				reply := &coap.Message{}
				handler{d.Client, d.servers[0]}.Serve(t.Context(), coap.Peer{}, tt.request, reply)
				if reply.Code != tt.code {
					t.Errorf("%s %s, want %s", reply.Code, reply.Payload, tt.code)
				}
				if tt.request.Path() == "/2" && (!strings.Contains(string(reply.Payload), `"n":"0/3"`) || strings.Contains(string(reply.Payload), `"n":"1/`)) {
					t.Errorf("tells %s", reply.Payload)
				}
				if tt.request.Path() == "/3303" && len(reply.Payload) > 40 {
					t.Errorf("tells %s", reply.Payload)
				}
			})
		})
	}
}

// Who makes an instance owns it. What says so goes with it, and with it alone.
func TestWhoMakesAnInstanceOwnsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) {
			c.Control = true
			c.Accounts = append(c.Accounts, Account{URI: "coap://second", Short: 2, Mode: NoSec})
		})
		synctest.Wait()
		anyMakes := control(0, 35001, lwm2m.NoID, int64(lwm2m.NoID), map[uint16]int64{0: int64(mayCreate)})
		anyMakes.Sort()
		if err := d.accounts.access.Create(lwm2m.PathOf(objectAccess, 0), anyMakes); err != nil {
			t.Fatal(err)
		}
		create := with(say(coap.POST, "/35001"), lwm2m.FormatSenMLJSON, `[{"n":"/35001/3/27200","vs":"a"}]`)
		read, remove := say(coap.GET, "/35001/3/27200"), say(coap.DELETE, "/35001/3")
		const made = "/2/1/0 = 35001, /2/1/1 = 3, /2/1/3 = "
		for _, step := range []struct {
			server  int
			request *coap.Message
			code    coap.Code
			entry   string
		}{
			{0, create, coap.Created, made + "1"},
			{0, read, coap.Content, made + "1"},
			{1, read, coap.Unauthorized, made + "1"},
			{1, remove, coap.Unauthorized, made + "1"},
			{0, remove, coap.Deleted, ""},
			{1, create, coap.Created, made + "2"},
			{0, read, coap.Unauthorized, made + "2"},
		} {
			reply := &coap.Message{}
			handler{d.Client, d.servers[step.server]}.Serve(t.Context(), coap.Peer{}, step.request, reply)
			if reply.Code != step.code {
				t.Errorf("%s %s by server %d: %s %s, want %s", step.request.Code, step.request.Path(), step.server+1, reply.Code, reply.Payload, step.code)
			}
			var entry lwm2m.Tree
			for _, r := range d.accounts.access.Contents().Below(lwm2m.PathOf(objectAccess, 1)) {
				if r.Path.Depth() > 2 {
					entry = append(entry, r)
				}
			}
			if got := entry.String(); got != step.entry {
				t.Errorf("after %s %s by server %d the entry is %q, want %q", step.request.Code, step.request.Path(), step.server+1, got, step.entry)
			}
		}
	})
}

// An instance that nobody could be the owner of is not made.
func TestNoInstanceWithoutAnOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDevice(t, func(c *Config) {
			c.Control = true
			c.Accounts = append(c.Accounts, Account{URI: "coap://second", Short: 2, Mode: NoSec})
		})
		synctest.Wait()
		for i := range uint16(32) { // as many as there may be
			e := control(i, 35001, i+100, 1, nil)
			if i == 0 {
				e = control(i, 35001, lwm2m.NoID, 1, nil)
			}
			e.Sort()
			if err := d.accounts.access.Create(lwm2m.PathOf(objectAccess, i), e); err != nil {
				t.Fatal(err)
			}
		}
		reply := &coap.Message{}
		create := with(say(coap.POST, "/35001"), lwm2m.FormatSenMLJSON, `[{"n":"/35001/3/27200","vs":"a"}]`)
		handler{d.Client, d.servers[0]}.Serve(t.Context(), coap.Peer{}, create, reply)
		if reply.Code != coap.EntityTooLarge || d.tree.has(lwm2m.PathOf(35001, 3)) {
			t.Errorf("%s %s, and it is there: %v", reply.Code, reply.Payload, d.tree.has(lwm2m.PathOf(35001, 3)))
		}
	})
}
