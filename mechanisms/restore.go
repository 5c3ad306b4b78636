package mechanisms

import "context"

// Restorer is implemented by drivers whose way back is another one than [Driver].Write: a device that is handed back to
// its own regulation, say. v is the value that the knob had before the first write; afterwards it has to read so.
type Restorer interface {
	Restore(ctx context.Context, knob string, v Value) error
}

// releases are the knobs among the targets that go back to their old value for good.
func releases(targets []target) map[string]bool {
	back := map[string]bool{}
	for _, t := range targets {
		back[t.knob] = t.release
	}
	return back
}

// put makes one attempt to bring a knob to a value; back says that it is its old one, which nobody needs to change again.
func (d *drive) put(ctx context.Context, st Setting, back bool) error {
	if r, ok := d.Driver.(Restorer); ok && back {
		return d.leashed("restore "+st.Knob, func() error { return r.Restore(ctx, st.Knob, st.Value) })
	}
	return d.Write(ctx, st.Knob, st.Value)
}
