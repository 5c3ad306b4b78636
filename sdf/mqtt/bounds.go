package mqtt

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Bounds of what a broker may tell a Client, besides those of payloads and topics: who is there is kept by those who watch, and nobody knows whose broker it is.
const (
	maxAnnouncement = 1 << 20 // bytes, with a model
	maxNote         = 4 << 10 // bytes of any other message about a thing or a gateway
	maxOffers       = 4096    // objects of a thing
	maxInstances    = 1 << 16 // of all of them
	maxLabels       = 64
	maxLabelKey     = 317     // bytes: a domain name, a slash and a name, as Kubernetes has them
	maxWord         = 256     // bytes of a label's value, a version, a protocol
	maxExplanation  = 4 << 10 // bytes of a part of an error
	maxGateways     = 64      // whose returns are told of
)

// take reads a message about the thing or the gateway that its topic names.
func take(prefix string, m *Message, most int, to any) (name string, err error) {
	name, ok := thingUnder(prefix, m.Topic)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: %s/ is followed by no name", ErrTopic, prefix)
	case len(m.Payload) > most:
		return "", fmt.Errorf("%w of %d bytes, more than %d", errPayload, len(m.Payload), most)
	}
	if err := json.Unmarshal(m.Payload, to); err != nil {
		return "", fmt.Errorf("%w: %w", errPayload, err)
	}
	return name, nil
}

// check says what a Client would not take: Announce publishes no such announcement, and what others publish is dropped.
func (a *Announcement) check() error {
	if len(a.Objects) > maxOffers {
		return fmt.Errorf("%d objects, more than %d", len(a.Objects), maxOffers)
	}
	instances := 0
	for i := range a.Objects {
		o := &a.Objects[i]
		if instances += len(o.Labels); instances > maxInstances {
			return fmt.Errorf("more than %d instances", maxInstances)
		}
		if len(o.Name) > maxSegment || len(o.Version) > maxWord {
			return fmt.Errorf("a name or version of %d bytes", max(len(o.Name), len(o.Version)))
		}
	}
	if len(a.Protocol) > maxWord {
		return fmt.Errorf("a protocol of %d bytes", len(a.Protocol))
	}
	return a.checkLabels()
}

func (a *Announcement) checkLabels() error {
	if len(a.Labels) > maxLabels {
		return fmt.Errorf("%d labels, more than %d", len(a.Labels), maxLabels)
	}
	for key, value := range a.Labels {
		if len(key) > maxLabelKey || len(value) > maxWord {
			return fmt.Errorf("the label %q of %d and %d bytes", shorten(key), len(key), len(value))
		}
	}
	return nil
}

// shorten keeps what comes from outside short in messages.
func shorten(s string) string { return cut(s, 100) }

// cut is the beginning of s that fits.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
