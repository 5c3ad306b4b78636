package software

import (
	"errors"
	"syscall"

	"github.com/edgehold/edgehold/plugins/parcel"
)

// State is resource 7, Update State.
type State uint8

// The states.
const (
	Initial         State = 0
	DownloadStarted State = 1
	Downloaded      State = 2
	Delivered       State = 3
	Installed       State = 4
)

// Result is resource 9, Update Result.
type Result uint8

// The results.
const (
	ResultInitial     Result = 0
	ResultDownloading Result = 1
	ResultInstalled   Result = 2
	ResultDelivered   Result = 3 // downloaded and verified

	ResultNoStorage   Result = 50
	ResultNoMemory    Result = 51
	ResultConnection  Result = 52
	ResultIntegrity   Result = 53
	ResultType        Result = 54
	ResultURI         Result = 56
	ResultDevice      Result = 57 // something of this device's own: see Status Reason
	ResultInstall     Result = 58
	ResultUninstalled Result = 59 // uninstalling failed
)

// resultOf maps why a package was not taken.
func resultOf(err error) Result {
	if e, ok := errors.AsType[*parcel.Error](err); ok {
		return parcelResults[e.Code]
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, errQuota):
		return ResultNoStorage
	case errors.Is(err, errSource):
		return ResultURI
	case errors.Is(err, errLost):
		return ResultConnection
	}
	return ResultDevice
}

var parcelResults = map[string]Result{
	parcel.CodeMalformed: ResultType,
	parcel.CodeKind:      ResultType,
	parcel.CodeUnsigned:  ResultIntegrity,
	parcel.CodeDigest:    ResultIntegrity,
	parcel.CodeDevice:    ResultDevice,
	parcel.CodeOlder:     ResultDevice,
	parcel.CodeTooLarge:  ResultNoStorage,
}
