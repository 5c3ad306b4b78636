// Package software is how workloads come onto a device and are seen there: OMA's object 9, Software Management, with its state machine and the
// packages on disk behind it, and our object 35002, which says what each workload uses. It runs nothing itself (package runner does), and
// whose signature counts is decided by package parcel.
//
//	          write Package or Package URI            verified
//	INITIAL 0 ----------------------------> DOWNLOAD STARTED 1 ----------> DELIVERED 3 --Install--> INSTALLED 4
//	     ^ ^______________ error: result 50 to 57 ____|                        |                       |
//	     |____________________________ Uninstall ______________________________|_______________________|
//
// DOWNLOADED 2 is passed within one call, since verifying takes no time worth showing. An INSTALLED workload is inactive or active; what
// was active is started again when the device starts.
//
// # What survives
//
// Each state is one small record that is replaced whole, and a package is a file that has its name before the record speaks of it. So a
// device that loses its power is, when it comes back, in the state before or after the step it was in. A package that had not come
// whole goes on where it stopped. The highest counter of each name is kept before its package counts as installed.
package software
