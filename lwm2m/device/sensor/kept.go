package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m/client"
)

// Keep takes over the Application Types that servers have written, and keeps in the store what they write from here on. An error says that
// what was kept can't be used.
func (o *Object) Keep(store client.Store) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.store = store
	b, err := store.Load(o.document())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept map[string]string
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	if err != nil {
		return fmt.Errorf("read what the sensors of object %d are used for: %w", o.definition.ID, err)
	}
	for i := range o.sensors {
		if written, ok := kept[o.key(i)]; ok && len(written) <= maxApplication {
			o.sensors[i].written = &written
		}
	}
	return nil
}

func (o *Object) document() string { return "sensors-" + strconv.Itoa(int(o.definition.ID)) + ".json" }

// key is what a sensor is kept under: its number and what it is, so that one that comes to stand in its place gets nothing of it.
func (o *Object) key(i int) string { return strconv.Itoa(i) + " " + o.sensors[i].Application }

// keep stores what was written. The object is locked.
func (o *Object) keep() error {
	if o.store == nil {
		return nil
	}
	kept := map[string]string{}
	for i := range o.sensors {
		if w := o.sensors[i].written; w != nil {
			kept[o.key(i)] = *w
		}
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return o.store.Save(o.document(), b)
}
