// Package firmware is LwM2M object 5, Firmware Update: it takes an image from a server, block by block or by a URI, has it verified, and has
// it applied when told to. It survives a loss of power in each of its states. It knows neither what an image is nor how it gets to run: an
// [Updater] does, such as [Hook], which takes signed images and runs a program of the operator's.
package firmware
