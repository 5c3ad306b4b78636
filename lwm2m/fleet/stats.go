package fleet

// Stats say what a fleet has done so far.
type Stats struct {
	Registered int // devices that are, as far as they know

	Begun          uint64 // registrations begun, the first of each device and those after a reset
	Registrations  uint64 // answered with 2.01
	Unknown        uint64 // updates that were answered with 4.04: the gateway had forgotten the device
	Updates        uint64 // answered with 2.04
	Reads          uint64 // answered
	Observations   uint64 // begun
	Notifications  uint64 // sent
	Cancelled      uint64 // observations that the gateway reset
	Refused        uint64 // requests of ours answered with another error, 5.03 for instance
	Retransmitted  uint64
	Unanswered     uint64 // exchanges given up
	Lost           uint64 // datagrams lost on purpose
	Overheard      uint64 // datagrams for a device that slept
	Rebound, Reset uint64 // address changes, and devices that were reset

	Registration, Update Histogram // from the first transmission to the answer
}

func (s *Stats) merge(o *Stats) {
	s.Registered += o.Registered
	for _, sum := range [][2]*uint64{
		{&s.Begun, &o.Begun}, {&s.Registrations, &o.Registrations}, {&s.Unknown, &o.Unknown}, {&s.Updates, &o.Updates}, {&s.Reads, &o.Reads},
		{&s.Observations, &o.Observations}, {&s.Notifications, &o.Notifications}, {&s.Cancelled, &o.Cancelled}, {&s.Refused, &o.Refused},
		{&s.Retransmitted, &o.Retransmitted}, {&s.Unanswered, &o.Unanswered}, {&s.Lost, &o.Lost}, {&s.Overheard, &o.Overheard},
		{&s.Rebound, &o.Rebound}, {&s.Reset, &o.Reset},
	} {
		*sum[0] += *sum[1]
	}
	s.Registration.merge(&o.Registration)
	s.Update.merge(&o.Update)
}
