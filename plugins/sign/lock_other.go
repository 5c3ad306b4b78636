//go:build !unix

package sign

import "errors"

func lock(string) (func() error, error) { return nil, errors.ErrUnsupported }
