// Package knob holds what can be turned on a device, such as the power of its radio, and the shell by which servers turn it: object 19,
// BinaryAppDataContainer, as D3.3 section 6.3.1.2 has it. It neither decides when to turn something nor keeps a setting: after a
// restart each knob is at its default, and after the lease that a setting may come with.
//
// A command is written to /19/0/0/0 and answered at /19/0/0/1:
//
//	mlsysops knobs list                      Knob ID | Value
//	                                         -----
//	                                         TX_PWR | HIGH
//	mlsysops knobs get TX_PWR                TX_PWR | HIGH
//	mlsysops knobs set TX_PWR LOW            TX_PWR | LOW
//	mlsysops knobs set TX_PWR LOW 30s        TX_PWR | LOW      back to the default after 30 s, unless it is set again
//	mlsysops knobs options                   Knob ID | Values | Default | Unit
//	                                         -----
//	                                         TX_PWR | LOW,MEDIUM,HIGH | HIGH |
//	                                         SAMPLE_INTERVAL | 1..3600 | 10 | s
//
// What fails is answered with a line that begins with "error: ".
package knob
