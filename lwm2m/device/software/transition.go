package software

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// The steps between states. Each is called with the lock held and replaces the record once.

// begin is a new download: whatever was on its way is forgotten.
func (m *Manager) begin(id uint16, r record, uri string) error {
	if r.State != Initial && r.State != DownloadStarted {
		return fmt.Errorf("package %d is in state %d: uninstall it first: %w", id, r.State, client.ErrNotAllowed)
	}
	if err := m.disk.dropPart(id); err != nil {
		return err
	}
	m.heads[id] = &arrival{}
	r.State, r.Result, r.Reason, r.URI = DownloadStarted, ResultDownloading, "", uri
	return m.keep(id, r)
}

// refuse goes back to INITIAL with the result that says why.
func (m *Manager) refuse(id uint16, cause error) error {
	r := *m.records[id]
	r.State, r.Result, r.Reason, r.URI, r.Delivered = Initial, resultOf(cause), reasonOf(cause), "", ""
	delete(m.heads, id)
	m.config.Logger.Warn("a package is refused", "instance", id, "result", r.Result, "error", cause)
	err := m.keep(id, r)
	if err != nil { // on a full disk, say: it is refused all the same, and looked at again after a restart
		m.records[id] = &r
	}
	return errors.Join(err, m.disk.dropPart(id))
}

// deliver checks a package that has come whole.
func (m *Manager) deliver(id uint16) error {
	raw, err := m.disk.read(partName(id), m.config.MaxPackage+parcel.MaxHead)
	if err != nil {
		return err
	}
	h, _, err := parcel.Parse(raw)
	if err == nil {
		err = m.config.Trust.Check(h)
	}
	if err != nil {
		return err
	}
	digest := digestOf(h.Statement.Digest)
	if err := m.disk.publish(id, digest); err != nil {
		return err
	}
	r := *m.records[id]
	r.State, r.Result, r.Reason, r.URI, r.Delivered = Delivered, ResultDelivered, "", "", digest
	r.Name, r.Version = h.Statement.Name, h.Statement.Version
	delete(m.heads, id)
	return m.keep(id, r)
}

// install makes the delivered package the one that runs. It was verified when it came; here it is read again, judged as a module, and its
// counter is kept first: power that is lost in between narrows what is accepted and never widens it.
func (m *Manager) install(ctx context.Context, id uint16, r record) error {
	if r.State != Delivered {
		return notAllowed("install", id, r.State)
	}
	h, module, err := m.stored(r.Delivered)
	if err == nil {
		err = m.config.Trust.Check(h) // another instance may have brought a newer one since
	}
	if err == nil {
		err = m.fits(ctx, h, module)
	}
	if err == nil {
		err = m.count(h)
	}
	if err != nil {
		r.Result, r.Reason = ResultInstall, reasonOf(err)
		return errors.Join(m.keep(id, r), fmt.Errorf("install package %d: %w: %w", id, err, client.ErrConflict))
	}
	r.State, r.Result, r.Reason, r.Installed, r.Delivered, r.Active = Installed, ResultInstalled, "", r.Delivered, "", false
	err = m.keep(id, r)
	m.tidy()
	return err
}

// fits refuses a module that can't run here, or is not what its statement calls it.
func (m *Manager) fits(ctx context.Context, h *parcel.Head, module []byte) error {
	manifest, err := m.config.Workloads.Check(ctx, module)
	if err != nil {
		return err
	}
	s := &h.Statement
	if manifest.Name != s.Name || manifest.Version != s.Version || manifest.Kind != s.Kind {
		return fmt.Errorf("the module calls itself %s %s %s, it was signed as %s %s %s", manifest.Kind, manifest.Name, manifest.Version, s.Kind, s.Name, s.Version)
	}
	return nil
}

func (m *Manager) count(h *parcel.Head) error {
	name, counter := h.Statement.Name, h.Statement.Counter
	if m.counters[name] == counter {
		return nil
	}
	if _, known := m.counters[name]; !known && len(m.counters) >= maxCounterNames {
		return fmt.Errorf("%d names of packages were installed before, and none can be forgotten: %w", len(m.counters), errQuota)
	}
	before, had := m.counters[name]
	m.counters[name] = counter
	err := m.disk.saveCounters(m.counters)
	if err != nil && had {
		m.counters[name] = before
	} else if err != nil {
		delete(m.counters, name)
	}
	return err
}

// uninstall removes; with the argument 1, ForUpdate, the old package stays until a new one is installed.
func (m *Manager) uninstall(id uint16, r record, args string) error {
	if r.State != Delivered && r.State != Installed {
		return notAllowed("uninstall", id, r.State)
	}
	forUpdate, err := isForUpdate(args)
	if err != nil {
		return err
	}
	m.stop(id)
	r.State, r.Result, r.Reason, r.Delivered, r.Active = Initial, ResultInitial, "", "", false
	r.Name, r.Version = "", ""
	if !forUpdate {
		r.Installed = ""
	}
	err = m.keep(id, r)
	m.tidy()
	return err
}

// isForUpdate reads the argument as servers write it: 0, 1, '1', 0='1', ForUpdate.
func isForUpdate(args string) (bool, error) {
	text := strings.TrimSpace(args)
	if all, err := client.ParseArguments(text); err == nil && len(all) == 1 && all[0].HasValue {
		text = all[0].Value
	}
	switch strings.Trim(text, "'") {
	case "", "0":
		return false, nil
	case "1", "ForUpdate":
		return true, nil
	}
	return false, fmt.Errorf("uninstall with %.40q: %w", args, client.ErrBadRequest)
}

func (m *Manager) activate(ctx context.Context, id uint16, r record) error {
	if r.State != Installed {
		return notAllowed("activate", id, r.State)
	}
	if _, running := m.config.Workloads.Status(id); running {
		return nil
	}
	if err := m.start(ctx, id, &r); err != nil {
		r.Active, r.Reason = false, reasonOf(err)
		return errors.Join(m.keep(id, r), fmt.Errorf("activate package %d: %w: %w", id, err, client.ErrConflict))
	}
	r.Active, r.Reason = true, ""
	if err := m.keep(id, r); err != nil {
		m.stop(id)
		return err
	}
	return nil
}

func (m *Manager) deactivate(id uint16, r record) error {
	if r.State != Installed {
		return notAllowed("deactivate", id, r.State)
	}
	m.stop(id)
	r.Active, r.Reason = false, ""
	return m.keep(id, r)
}

func (m *Manager) stop(id uint16) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	m.config.Workloads.Stop(ctx, id)
}

func notAllowed(what string, id uint16, s State) error {
	return fmt.Errorf("%s package %d, which is in state %d: %w", what, id, s, client.ErrNotAllowed)
}
