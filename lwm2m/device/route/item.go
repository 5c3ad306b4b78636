package route

import (
	"errors"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
)

// Item is a value on its way.
type Item struct {
	Payload []byte
	Format  lwm2m.Format // text or octet stream, or what another device said
	Hops    int          // that it has made
}

// MaxHops is how many routes a value may take one after the other, as RFC 8768 has it by default.
const MaxHops = runner.MaxHops

// itemOf makes an output fit to travel.
func itemOf(o runner.Output) Item {
	if o.Value.Bytes != nil {
		return Item{Payload: o.Value.Bytes, Format: lwm2m.FormatOpaque, Hops: o.Hops}
	}
	return Item{Payload: strconv.AppendFloat(nil, o.Value.Number, 'f', -1, 64), Format: lwm2m.FormatText, Hops: o.Hops}
}

// deliver gives the item to an input: as the number that its text is, else as bytes.
func (i Item) deliver(to Inputs, e End) error {
	if n, err := strconv.ParseFloat(strings.TrimSpace(string(i.Payload)), 64); err == nil && n-n == 0 {
		if err := to.Deliver(e.Workload, e.Name, runner.Value{Number: n}, i.Hops); !errors.Is(err, runner.ErrValue) {
			return err
		}
	}
	return to.Deliver(e.Workload, e.Name, runner.Value{Bytes: append([]byte{}, i.Payload...)}, i.Hops)
}
