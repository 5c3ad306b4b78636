package registry

import "testing"

func FuzzParse(f *testing.F) {
	for _, s := range []string{"oci://example.org/team/policy:1.0.0", "oci://[::1]:5000/p@sha256:" + "0000000000000000000000000000000000000000000000000000000000000000",
		"dir:/media/usb:1.0", "dir:a:b:c", "dir:..", "oci:///x", "oci://u:p@h/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Errorf("%q became %+v and then %+v, %v", s, r, again, err)
		}
	})
}
