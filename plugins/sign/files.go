package sign

import (
	"fmt"
	"path"
)

// Files returns what this node believes of the image repository, byte for byte and named as in a published tree: for
// handing on to nodes that can't reach the source. Of roots there is the newest alone.
func (c *Client) Files() Files {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.images.set
	content := map[string][]byte{Root: s.Root, Timestamp: s.Timestamp, Snapshot: s.Snapshot, Targets: s.Targets}
	all := Files{}
	for _, d := range c.images.documents {
		name := fmt.Sprintf("%d.%s.json", d.version, d.role)
		if d.role == Timestamp {
			name = d.role + ".json"
		}
		if raw := content[d.role]; len(raw) > 0 {
			all[path.Join(ImagesFolder, name)] = raw
		}
	}
	return all
}
