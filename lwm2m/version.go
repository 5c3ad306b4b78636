package lwm2m

import (
	"cmp"
	"strconv"
)

// Version is the version of an object, or of LwM2M itself: "1.1". The zero Version is "not told", which means 1.0 for an
// object (Core 1.2 §7.2.2).
type Version struct{ Major, Minor uint8 }

// Versions of the enabler that this code speaks.
var (
	V1_0 = Version{1, 0}
	V1_1 = Version{1, 1}
	V1_2 = Version{1, 2}
)

// ParseVersion reads "1.1". A third number, as in "1.0.2" which some devices send, is taken and dropped.
func ParseVersion(s string) (Version, error) {
	major, n := versionNumber(s)
	minor, m := uint8(0), 0
	if n > 0 && n < len(s) && s[n] == '.' {
		minor, m = versionNumber(s[n+1:])
	}
	rest := s[min(len(s), n+1+m):]
	if n == 0 || m == 0 || rest != "" && !isPatch(rest) {
		return Version{}, &Error{
			Code: CodeVersion, What: "read the version " + quote(s), Why: "a version is two numbers from 0 to 255 with a dot between",
			Hint: "write it as 1.1",
		}
	}
	return Version{major, minor}, nil
}

func isPatch(s string) bool {
	_, n := versionNumber(s[1:])
	return s[0] == '.' && n > 0 && n+1 == len(s)
}

func versionNumber(s string) (v uint8, n int) {
	id, n := parseID(s)
	if id > 255 {
		return 0, 0
	}
	return uint8(id), n
}

// OrFirst returns 1.0 for a version that was not told.
func (v Version) OrFirst() Version {
	if v == (Version{}) {
		return V1_0
	}
	return v
}

// Compare orders versions; one that was not told is 1.0.
func (v Version) Compare(w Version) int {
	v, w = v.OrFirst(), w.OrFirst()
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor))
}

// String returns "1.1", and "1.0" for one that was not told.
func (v Version) String() string {
	v = v.OrFirst()
	return strconv.Itoa(int(v.Major)) + "." + strconv.Itoa(int(v.Minor))
}

// MarshalText is String.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is ParseVersion; empty text is "not told".
func (v *Version) UnmarshalText(text []byte) (err error) {
	if *v = (Version{}); len(text) == 0 {
		return nil
	}
	*v, err = ParseVersion(string(text))
	return err
}
