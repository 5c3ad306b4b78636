// Package knob holds what can be turned on a device, such as the power of its radio, and the shell by which servers turn it: object 19,
// BinaryAppDataContainer, as D3.3 section 6.3.1.2 has it. It neither decides when to turn something nor keeps a setting: after a
// restart each knob is at its default, and after the lease that a setting may come with it is where it was last set without one.
//
// A command is written to /19/0/0/0 and answered at /19/0/0/1:
//
//	mlsysops knobs list                         Knob ID | Value
//	                                            -----
//	                                            TX_PWR | HIGH
//	mlsysops knobs get TX_PWR                   TX_PWR | HIGH
//	mlsysops knobs set TX_PWR LOW               TX_PWR | LOW
//	mlsysops knobs set TX_PWR LOW 30s           TX_PWR | LOW   back after 30 s, unless it is set again
//	mlsysops knobs set TX_PWR LOW 30s node-1    TX_PWR | LOW   until then under nobody else's lease
//	mlsysops knobs renew TX_PWR LOW 30s node-1  TX_PWR | LOW   30 s from now, if it still is LOW
//	mlsysops knobs leases                       Knob ID | Value | Lease | Holder
//	                                            -----
//	                                            TX_PWR | LOW | 29s | node-1
//	mlsysops knobs options                      Knob ID | Values | Default | Unit | Lease
//	                                            -----
//	                                            TX_PWR | LOW,MEDIUM,HIGH | HIGH |  | 24h0m0s
//	                                            SAMPLE_INTERVAL | 1..3600 | 10 | s | 24h0m0s
//
// The last column of options is the longest lease that the knob takes. By it whoever turns knobs from afar knows that the device looks after a
// setting itself: an agent that loses its power in the middle of a policy renews no more, and the device turns back alone. What is set without a
// lease is a person's, and overrules them all.
//
// What fails is answered with a line that begins with "error: ".
package knob
