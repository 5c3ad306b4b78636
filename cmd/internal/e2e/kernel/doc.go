// Package kernel boots Debian's own kernel under qemu, with processor frequency drivers that find hardware of our
// making, so that tests drive real drivers where no hardware is. It is not an emulator of anything itself: the drivers,
// sysfs and the processes are the real ones, only the registers behind them are a file.
//
// Everything comes from Debian packages: the kernel is downloaded once by apt-get into the user's cache folder, and
// is neither installed nor changed.
package kernel
