// Performance states for two processors whose control register is I/O port 0x502. qemu's debug console sits at that port and
// writes every byte that the kernel sends there into a file of the host: '0' to '3' for the first processor, '@' to 'C'
// for the second, slowest first. Status is read from the same port, which never disagrees.
DefinitionBlock ("", "SSDT", 2, "EDGEHD", "PSTATES", 1)
{
    External (\_SB.CPUS.C000, DeviceObj)
    External (\_SB.CPUS.C001, DeviceObj)

    Scope (\_SB.CPUS.C000)
    {
        Name (_PPC, 0)
        Name (_PCT, Package () {
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x502) },
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x502) }
        })
        // MHz, mW, transition latency and bus master latency in microseconds, control value, status value
        Name (_PSS, Package () {
            Package () { 3000, 95000, 10, 10, 0x33, 0x33 },
            Package () { 2400, 65000, 10, 10, 0x32, 0x32 },
            Package () { 1800, 45000, 10, 10, 0x31, 0x31 },
            Package () { 1200, 25000, 10, 10, 0x30, 0x30 }
        })
        // a frequency domain of its own
        Name (_PSD, Package () { Package () { 5, 0, 0, 0xFC, 1 } })
    }

    Scope (\_SB.CPUS.C001)
    {
        Name (_PPC, 0)
        Name (_PCT, Package () {
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x502) },
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x502) }
        })
        Name (_PSS, Package () {
            Package () { 3000, 95000, 10, 10, 0x43, 0x43 },
            Package () { 2400, 65000, 10, 10, 0x42, 0x42 },
            Package () { 1800, 45000, 10, 10, 0x41, 0x41 },
            Package () { 1200, 25000, 10, 10, 0x40, 0x40 }
        })
        Name (_PSD, Package () { Package () { 5, 0, 1, 0xFC, 1 } })
    }
}
