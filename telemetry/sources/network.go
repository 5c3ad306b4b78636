package sources

import (
	"github.com/prometheus/procfs"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// networkSource reads /proc/net/dev.
type networkSource struct{ host Host }

var networkMetrics = []struct {
	metric, unit, help string
	value              func(procfs.NetDevLine) uint64
}{
	{"node_network_receive_bytes_total", "bytes", "Bytes received.", func(l procfs.NetDevLine) uint64 { return l.RxBytes }},
	{"node_network_receive_packets_total", "", "Packets received.", func(l procfs.NetDevLine) uint64 { return l.RxPackets }},
	{"node_network_receive_errs_total", "", "Errors while receiving.", func(l procfs.NetDevLine) uint64 { return l.RxErrors }},
	{"node_network_receive_drop_total", "", "Packets dropped while receiving.", func(l procfs.NetDevLine) uint64 { return l.RxDropped }},
	{"node_network_transmit_bytes_total", "bytes", "Bytes sent.", func(l procfs.NetDevLine) uint64 { return l.TxBytes }},
	{"node_network_transmit_packets_total", "", "Packets sent.", func(l procfs.NetDevLine) uint64 { return l.TxPackets }},
	{"node_network_transmit_errs_total", "", "Errors while sending.", func(l procfs.NetDevLine) uint64 { return l.TxErrors }},
	{"node_network_transmit_drop_total", "", "Packets dropped while sending.", func(l procfs.NetDevLine) uint64 { return l.TxDropped }},
}

func (*networkSource) Describe() Description {
	d := Description{Name: "network"}
	for _, m := range networkMetrics {
		d.Metrics = append(d.Metrics, Metric{m.metric, ring.Counter, m.unit, m.help})
	}
	return d
}

func (s *networkSource) Collect(sink *Sink) error {
	files, err := procfs.NewFS(s.host.proc())
	if err != nil {
		return err
	}
	devices, err := files.NetDev()
	if err != nil {
		return err
	}
	for name, line := range devices {
		device := ring.Label{Name: "device", Value: name}
		for _, m := range networkMetrics {
			sink.Put(m.metric, float64(m.value(line)), device)
		}
	}
	return nil
}
