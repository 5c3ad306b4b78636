package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// Object Device and what of it an announcement says (OMA object 3).
const (
	objectDevice        = 3
	resourceMemoryFree  = 10
	resourceDeviceType  = 17
	resourceMemoryTotal = 21
)

// Labels of the node that stands for a device.
const (
	labelOS   = "kubernetes.io/os"
	labelArch = "kubernetes.io/arch"
	// LabelTinyML is D3.3 §6.3.1.4's, for devices that can run small neural networks.
	LabelTinyML = "extra.resources.fhp/tinymml"
)

// registered lists the objects of a registration, each with its instances.
func registered(r server.Registration) []oma.Registered {
	var objects []oma.Registered
	for _, p := range r.Instances {
		if n := len(objects); n == 0 || objects[n-1].ID != p.Object() {
			objects = append(objects, oma.Registered{ID: p.Object(), Version: r.ObjectVersion(p.Object())})
		}
		if p.Depth() > 1 {
			o := &objects[len(objects)-1]
			o.Instances = append(o.Instances, p.Instance())
		}
	}
	return objects
}

// announcement is what is published of a device.
func (g *Gateway) announcement(r server.Registration) (*mqtt.Announcement, error) {
	objects := registered(r)
	a := &mqtt.Announcement{
		Thing: r.Endpoint, Epoch: uint64(r.Registered.UnixMilli()), Time: r.Registered.UTC().Truncate(time.Millisecond), Lifetime: uint32(r.Lifetime / time.Second),
		Protocol: "LwM2M " + r.Version.String(), Sleeps: r.QueueMode,
	}
	for i, o := range g.translator.Objects(objects) {
		offer := mqtt.Offer{Name: o.Name, ID: o.ID, Labels: objects[i].Instances}
		if v := objects[i].Version; v != (lwm2m.Version{}) {
			offer.Version = v.String()
		}
		a.Objects = append(a.Objects, offer)
	}
	known := g.facts.of(r.Endpoint)
	a.Labels, a.MemoryKiB.Total, a.MemoryKiB.Free = known.Labels, known.Total, known.Free
	if !g.config.Embed {
		return a, nil
	}
	document, err := sdf.EncodeJSON(g.translator.Thing(r.Endpoint, objects).Tree())
	if err != nil {
		return nil, fmt.Errorf("write the SDF document of %s: %w", r.Endpoint, err)
	}
	a.Model = document
	return a, nil
}

// hashOf tells announcements apart by what they are made of; it is never 0.
func (g *Gateway) hashOf(r server.Registration) uint64 {
	var h maphash.Hash
	h.SetSeed(g.presence.seed)
	known := g.facts.of(r.Endpoint)
	maphash.WriteComparable(&h, [...]int64{r.Registered.UnixMilli(), int64(r.Lifetime / time.Second), known.Total, known.Free})
	maphash.WriteComparable(&h, r.Version)
	maphash.WriteComparable(&h, r.QueueMode)
	for _, p := range r.Instances {
		maphash.WriteComparable(&h, p)
		maphash.WriteComparable(&h, r.ObjectVersion(p.Object()))
	}
	sum := h.Sum64()
	for label, value := range known.Labels {
		sum ^= maphash.Comparable(g.presence.seed, [2]string{label, value}) // in any order
	}
	return sum | 1
}

// Announced yields the devices that can be reached.
func (g *Gateway) Announced() iter.Seq[string] {
	return func(yield func(string) bool) {
		for r := range g.server.Devices() {
			if r.State != server.Unreachable && !yield(r.Endpoint) {
				return
			}
		}
	}
}

// Announcement is that of a device that can be reached.
func (g *Gateway) Announcement(endpoint string) *mqtt.Announcement {
	r, ok := g.server.Device(endpoint)
	if !ok || r.State == server.Unreachable {
		return nil
	}
	a, err := g.announcement(r)
	if err != nil {
		return nil // announce has told
	}
	return a
}

// fact is what a device's own Device object says for its announcement.
type fact struct {
	Total  int64             `json:"total,omitempty"` // KiB
	Free   int64             `json:"free,omitempty"`  // KiB
	Labels map[string]string `json:"labels,omitempty"`
}

// facts are those of all devices: on the disk if they are kept, else in memory.
type facts struct {
	kept Facts

	mu    sync.Mutex
	known map[string]fact
}

// factPrefix begins the keys of facts among other settings; the rest is the endpoint's name.
const factPrefix = "announcement/"

func factKey(endpoint string) []byte { return []byte(factPrefix + endpoint) }

// Announced returns the device that a key of Config.Facts is about; ok is false for keys of others.
func Announced(key []byte) (endpoint string, ok bool) {
	rest, ok := bytes.CutPrefix(key, []byte(factPrefix))
	return string(rest), ok && len(rest) > 0
}

// of returns what is known of a device.
func (f *facts) of(endpoint string) fact {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, _ := f.load(endpoint)
	return known
}

// load looks a device up, on the disk if need be; found is false if it was never announced. The facts are locked.
func (f *facts) load(endpoint string) (known fact, found bool) {
	if f.kept == nil {
		known, found = f.known[endpoint]
		return known, found
	}
	b, found, err := f.kept.Get(factKey(endpoint))
	if err != nil || !found {
		return known, false
	}
	_ = json.Unmarshal(b, &known) // what cannot be read is not known
	return known, true
}

// keep stores what is known of a device, and with it that it was announced. The facts are locked.
func (f *facts) keep(endpoint string, known fact) error {
	if f.kept == nil {
		if f.known == nil {
			f.known = map[string]fact{}
		}
		f.known[endpoint] = known
		return nil
	}
	b, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return f.kept.Put(factKey(endpoint), b)
}

// learn keeps what a device said after it registered.
func (g *Gateway) learn(endpoint string, tree lwm2m.Tree) {
	if len(tree) == 0 {
		return
	}
	g.facts.mu.Lock()
	defer g.facts.mu.Unlock()
	g.complain(endpoint, g.facts.keep(endpoint, factOf(tree)))
}

// note keeps that a device was announced.
func (g *Gateway) note(endpoint string) {
	g.facts.mu.Lock()
	defer g.facts.mu.Unlock()
	if _, found := g.facts.load(endpoint); !found {
		g.complain(endpoint, g.facts.keep(endpoint, fact{}))
	}
}

func (g *Gateway) complain(endpoint string, err error) {
	if err != nil {
		g.log.Warn("what is known of a device is not kept over a restart", "endpoint", endpoint, "error", err)
	}
}

func (g *Gateway) forgetFacts(endpoint string) {
	g.facts.mu.Lock()
	defer g.facts.mu.Unlock()
	delete(g.facts.known, endpoint)
	if g.facts.kept != nil {
		g.complain(endpoint, g.facts.kept.Delete(factKey(endpoint)))
	}
}

func factOf(tree lwm2m.Tree) (f fact) {
	device := lwm2m.PathOf(objectDevice, 0)
	if v, ok := tree.Value(device.Child(resourceMemoryTotal)); ok {
		f.Total = v.Integer()
	}
	if v, ok := tree.Value(device.Child(resourceMemoryFree)); ok {
		f.Free = v.Integer()
	}
	if v, ok := tree.Value(device.Child(resourceDeviceType)); ok {
		f.Labels = labelsOf(v.Text())
	}
	return f
}

// labelsOf reads the words of a Device Type: "edgehold-device os=linux arch=arm64 tinyml".
func labelsOf(deviceType string) map[string]string {
	var labels map[string]string
	set := func(key, value string) {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[key] = value
	}
	for word := range strings.FieldsSeq(deviceType) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == "tinyml":
			set(LabelTinyML, "true")
		case key == "os" && isLabelValue(value):
			set(labelOS, value)
		case key == "arch" && isLabelValue(value):
			set(labelArch, value)
		}
	}
	return labels
}

// isLabelValue keeps out what Kubernetes would not take as a label's value.
func isLabelValue(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || i == len(s)-1 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}
