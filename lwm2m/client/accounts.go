package client

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

// Definitions of the objects that say who may do what with the device. Nobody reads Security; bootstrap writes all three.
var (
	securityDefinition = Definition{ID: objectSecurity, Version: lwm2m.V1_2, Multiple: true, Resources: []Resource{
		{ID: securityURI, Name: "LWM2M Server URI", Kind: lwm2m.KindString, Mandatory: true},
		{ID: securityBootstrap, Name: "Bootstrap-Server", Kind: lwm2m.KindBoolean, Mandatory: true},
		{ID: securityMode, Name: "Security Mode", Kind: lwm2m.KindInteger, Mandatory: true},
		{ID: securityIdentity, Name: "Public Key or Identity", Kind: lwm2m.KindOpaque, Mandatory: true},
		{ID: securityServerKey, Name: "Server Public Key", Kind: lwm2m.KindOpaque, Mandatory: true},
		{ID: securityKey, Name: "Secret Key", Kind: lwm2m.KindOpaque, Mandatory: true},
		{ID: securityShortID, Name: "Short Server ID", Kind: lwm2m.KindInteger},
		{ID: securityHoldOff, Name: "Client Hold Off Time", Kind: lwm2m.KindInteger},
		{ID: securityTimeout, Name: "Bootstrap-Server Account Timeout", Kind: lwm2m.KindInteger},
		{ID: securityMatching, Name: "Matching Type", Kind: lwm2m.KindUnsigned},
		{ID: securitySNI, Name: "SNI", Kind: lwm2m.KindString},
		{ID: securityCertificate, Name: "Certificate Usage", Kind: lwm2m.KindUnsigned},
	}}
	serverDefinition = Definition{ID: objectServer, Version: lwm2m.V1_2, Multiple: true, Resources: []Resource{
		{ID: serverShortID, Name: "Short Server ID", Kind: lwm2m.KindInteger, Operations: Readable, Mandatory: true},
		{ID: serverLifetime, Name: "Lifetime", Kind: lwm2m.KindInteger, Operations: ReadWrite, Mandatory: true},
		{ID: serverPMin, Name: "Default Minimum Period", Kind: lwm2m.KindInteger, Operations: ReadWrite},
		{ID: serverPMax, Name: "Default Maximum Period", Kind: lwm2m.KindInteger, Operations: ReadWrite},
		{ID: serverDisable, Name: "Disable", Operations: Executable},
		{ID: serverDisableTimeout, Name: "Disable Timeout", Kind: lwm2m.KindInteger, Operations: ReadWrite},
		{ID: serverStoring, Name: "Notification Storing When Disabled or Offline", Kind: lwm2m.KindBoolean, Operations: ReadWrite, Mandatory: true},
		{ID: serverBinding, Name: "Binding", Kind: lwm2m.KindString, Operations: ReadWrite, Mandatory: true},
		{ID: serverUpdateTrigger, Name: "Registration Update Trigger", Operations: Executable, Mandatory: true},
		{ID: serverBootstrapTrigger, Name: "Bootstrap-Request Trigger", Operations: Executable},
		{ID: serverLastBootstrapped, Name: "Last Bootstrapped", Kind: lwm2m.KindTime, Operations: Readable},
		{ID: serverPriority, Name: "Registration Priority Order", Kind: lwm2m.KindUnsigned, Operations: Readable},
		{ID: serverInitialDelay, Name: "Initial Registration Delay Timer", Kind: lwm2m.KindUnsigned, Operations: ReadWrite},
		{ID: serverFailureBlock, Name: "Registration Failure Block", Kind: lwm2m.KindBoolean, Operations: Readable},
		{ID: serverFailureBootstrap, Name: "Bootstrap on Registration Failure", Kind: lwm2m.KindBoolean, Operations: Readable},
		{ID: serverRetryCount, Name: "Communication Retry Count", Kind: lwm2m.KindUnsigned, Operations: ReadWrite},
		{ID: serverRetryTimer, Name: "Communication Retry Timer", Kind: lwm2m.KindUnsigned, Operations: ReadWrite},
		{ID: serverSequenceDelay, Name: "Communication Sequence Delay Timer", Kind: lwm2m.KindUnsigned, Operations: ReadWrite},
		{ID: serverSequenceCount, Name: "Communication Sequence Retry Count", Kind: lwm2m.KindUnsigned, Operations: ReadWrite},
		{ID: serverMuteSend, Name: "Mute Send", Kind: lwm2m.KindBoolean, Operations: ReadWrite},
		{ID: serverNotificationMode, Name: "Default Notification Mode", Kind: lwm2m.KindInteger, Operations: ReadWrite},
	}}
	accessDefinition = Definition{ID: objectAccess, Version: lwm2m.V1_1, Multiple: true, Resources: []Resource{
		{ID: accessObject, Name: "Object ID", Kind: lwm2m.KindInteger, Operations: Readable, Mandatory: true},
		{ID: accessInstance, Name: "Object Instance ID", Kind: lwm2m.KindInteger, Operations: Readable, Mandatory: true},
		{ID: accessList, Name: "ACL", Kind: lwm2m.KindInteger, Operations: ReadWrite, Multiple: true},
		{ID: accessOwner, Name: "Access Control Owner", Kind: lwm2m.KindInteger, Operations: ReadWrite, Mandatory: true},
	}}
)

// accounts are the objects that bootstrap writes: Security, Server and Access Control. They survive a loss of power together: one document
// holds all three, so that no mixture of old and new comes back.
type accounts struct {
	security, servers, access *Table
	store                     Store
	staged                    atomic.Bool // a bootstrap is on: nothing is kept before it ends well
}

const accountsDocument = "accounts"

func newAccounts(store Store) *accounts {
	a := &accounts{store: store}
	a.security = NewTable(securityDefinition, Rules{MaxInstances: 8, MaxBytes: 32 << 10, Check: checkSecurity, Keep: a.keeper(objectSecurity)})
	a.servers = NewTable(serverDefinition, Rules{
		MaxInstances: 8, MaxBytes: 4 << 10, Check: checkServer, Keep: a.keeper(objectServer),
		Execute: func(lwm2m.Path, string) error { return nil }, // the engine acts on it after the object
	})
	a.access = NewTable(accessDefinition, Rules{MaxInstances: 32, Keep: a.keeper(objectAccess)})
	return a
}

func (a *accounts) tables() []*Table { return []*Table{a.security, a.servers, a.access} }

// keeper keeps all tables when one has changed. The changed one is locked by its own change, so its next content comes as an argument; the
// engine's lock makes sure that no other one changes meanwhile.
func (a *accounts) keeper(object uint16) func(lwm2m.Tree) error {
	return func(next lwm2m.Tree) error {
		if a.staged.Load() {
			return nil
		}
		return a.save(object, next)
	}
}

func (a *accounts) save(changed uint16, next lwm2m.Tree) error {
	if a.store == nil {
		return nil
	}
	var all lwm2m.Tree
	for i, t := range a.tables() {
		if uint16(i) == changed {
			all = append(all, next...)
		} else {
			all = append(all, t.Contents()...)
		}
	}
	document, err := codec.Append(nil, lwm2m.FormatSenMLCBOR, lwm2m.Path{}, withoutDoubles(all))
	if err != nil {
		return fmt.Errorf("keep server accounts: %w", err)
	}
	return a.store.Save(accountsDocument, document)
}

// load fills the tables with what was kept; false if nothing was.
func (a *accounts) load() (bool, error) {
	if a.store == nil {
		return false, nil
	}
	document, err := a.store.Load(accountsDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("load server accounts: %w", err)
	}
	all, err := codec.Decode(lwm2m.FormatSenMLCBOR, lwm2m.Path{}, document, accountTypes{})
	if err != nil {
		return false, fmt.Errorf("load server accounts: %w", err)
	}
	return true, a.fill(all)
}

func (a *accounts) fill(all lwm2m.Tree) error {
	all.Sort()
	for i, t := range a.tables() {
		if err := t.Fill(all.Below(lwm2m.PathOf(uint16(i)))); err != nil {
			return fmt.Errorf("server accounts: %w", err)
		}
	}
	return nil
}

// contents is everything, for going back to it.
func (a *accounts) contents() lwm2m.Tree {
	var all lwm2m.Tree
	for _, t := range a.tables() {
		all = append(all, t.Contents()...)
	}
	return all
}

// accountTypes are the kinds of values of these objects.
type accountTypes struct{}

// Kind is what a codec asks.
func (accountTypes) Kind(p lwm2m.Path) (lwm2m.Kind, bool, bool) {
	for _, d := range []*Definition{&securityDefinition, &serverDefinition, &accessDefinition} {
		if kind, multiple, ok := d.Type(p); ok {
			return kind, multiple, true
		}
	}
	return lwm2m.KindNone, false, false
}

// find returns the instance of the Server object for a short server id.
func (a *accounts) find(short uint16) (lwm2m.Path, bool) {
	var ids [16]uint16
	for _, id := range a.servers.Instances(ids[:0]) {
		p := lwm2m.PathOf(objectServer, id)
		if a.servers.Value(p.Child(serverShortID)).Integer() == int64(short) {
			return p, true
		}
	}
	return lwm2m.Path{}, false
}

// each returns the accounts, those of bootstrap servers or the others.
func (a *accounts) each(bootstrap bool) []Account {
	var ids [16]uint16
	var out []Account
	for _, id := range a.security.Instances(ids[:0]) {
		if one := account(a.security, id); one.Bootstrap == bootstrap {
			out = append(out, one)
		}
	}
	return out
}

// consistent tells what keeps the accounts from being used: at least one server, each with a place to register at.
func (a *accounts) consistent() error {
	servers := a.each(false)
	if len(servers) == 0 {
		return errors.New("no server account")
	}
	for _, s := range servers {
		if _, err := s.Target(); err != nil {
			return fmt.Errorf("server %d: %w", s.Short, err)
		}
		if _, found := a.find(s.Short); !found {
			return fmt.Errorf("server %d has no instance of the Server object", s.Short)
		}
	}
	return nil
}

func checkSecurity(instance lwm2m.Path, values lwm2m.Tree) error {
	uri, _ := values.Value(instance.Child(securityURI))
	if uri.Text() == "" || len(uri.Text()) > 255 {
		return fmt.Errorf("%s has a server URI of %d bytes: %w", instance, len(uri.Text()), ErrBadRequest)
	}
	return nil
}

// maxLifetime is a century: what goes beyond it would overflow a duration.
const maxLifetime = 100 * 365 * 86400

func checkServer(instance lwm2m.Path, values lwm2m.Tree) error {
	short, _ := values.Value(instance.Child(serverShortID))
	if id := short.Integer(); id < 1 || id > 65534 {
		return fmt.Errorf("%s has the short server id %d: %w", instance, id, ErrBadRequest)
	}
	for _, resource := range []uint16{serverLifetime, serverPMin, serverPMax, serverDisableTimeout} {
		if v, found := values.Value(instance.Child(resource)); found && (v.Integer() < 0 || v.Integer() > maxLifetime) {
			return fmt.Errorf("%s is %d: %w", instance.Child(resource), v.Integer(), ErrBadRequest)
		}
	}
	if b, _ := values.Value(instance.Child(serverBinding)); !validBinding(b.Text()) {
		return fmt.Errorf("%s has the binding %q: %w", instance, b.Text(), ErrBadRequest)
	}
	return nil
}

// validBinding: letters of LwM2M Core 1.2 §6.2.1.2 with Q of 1.0, none twice.
func validBinding(b string) bool {
	var seen [256]bool
	for i := range len(b) {
		switch b[i] {
		case 'U', 'T', 'S', 'N', 'M', 'H', 'Q':
		default:
			return false
		}
		if seen[b[i]] {
			return false
		}
		seen[b[i]] = true
	}
	return b != ""
}
