package sources

import (
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// filesystemSource measures the file system that holds the state folder.
type filesystemSource struct{ host Host }

// usage is what a file system says about itself.
type usage struct{ size, free, available, files, filesFree float64 }

func (*filesystemSource) Describe() Description {
	return Description{Name: "filesystem", Every: 10 * time.Second, Metrics: []Metric{
		{"node_filesystem_size_bytes", ring.Gauge, "bytes", "Size of the file system."},
		{"node_filesystem_free_bytes", ring.Gauge, "bytes", "Room, with what is kept for root."},
		{"node_filesystem_avail_bytes", ring.Gauge, "bytes", "Room for everybody."},
		{"node_filesystem_files", ring.Gauge, "", "Files that the file system can hold."},
		{"node_filesystem_files_free", ring.Gauge, "", "Files that can be made."},
	}}
}

func (s *filesystemSource) Collect(sink *Sink) error {
	if s.host.State == "" {
		return nil
	}
	u, err := measure(s.host.State)
	if err != nil {
		return err
	}
	where := ring.Label{Name: "mountpoint", Value: s.host.State}
	sink.Put("node_filesystem_size_bytes", u.size, where)
	sink.Put("node_filesystem_free_bytes", u.free, where)
	sink.Put("node_filesystem_avail_bytes", u.available, where)
	sink.Put("node_filesystem_files", u.files, where)
	sink.Put("node_filesystem_files_free", u.filesFree, where)
	return nil
}
