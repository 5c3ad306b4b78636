package mqtt

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Secrets are the files by which a broker and who connects to it know each other. Configurations and command lines name files, and hold no secret.
// Certificates and keys are PEM.
type Secrets struct {
	Password    string // holds the password and nothing else but the end of its line
	CA          string // what the other end's certificate is checked against; the system's if empty
	Certificate string // what is shown; needs Key
	Key         string
}

// Read gives config what the files hold, and a configuration of TLS in any case. It reports all that can't be used, each as an [*Error].
func (s Secrets) Read(config *DialConfig) error {
	c, err := s.tls()
	password, err2 := s.password()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	c.RootCAs, c.ClientCAs = c.ClientCAs, nil
	config.TLS, config.Password = c, cmp.Or(password, config.Password)
	return nil
}

// Listen is the configuration of a broker that shows Certificate, nil where there is none. Clients that show one are checked against CA.
func (s Secrets) Listen() (*tls.Config, error) {
	if s.Certificate == "" {
		return nil, nil
	}
	c, err := s.tls()
	if err == nil && c.ClientCAs != nil {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, err
}

// tls has CA as ClientCAs.
func (s Secrets) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var errs []error
	if s.CA != "" {
		pem, err := readSecret("read certificates", s.CA, maxPEM)
		if c.ClientCAs = x509.NewCertPool(); err == nil && !c.ClientCAs.AppendCertsFromPEM(pem) {
			err = badSecret("read certificates from "+s.CA, "it holds no certificate", "name a PEM file, whose certificates stand between BEGIN and END CERTIFICATE")
		}
		errs = append(errs, err)
	}
	switch {
	case (s.Certificate == "") != (s.Key == ""):
		errs = append(errs, badSecret("read a certificate and its key", "only one of the two is given", "give both, or none"))
	case s.Certificate != "":
		pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
		if err != nil {
			err = badSecret(fmt.Sprintf("read certificate %s with key %s", s.Certificate, s.Key), err.Error(), "see that both are PEM files which this user may read, and belong together")
		}
		c.Certificates = []tls.Certificate{pair}
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

func (s Secrets) password() (string, error) {
	if s.Password == "" {
		return "", nil
	}
	raw, err := readSecret("read the broker's password", s.Password, maxPassword)
	text := strings.TrimRight(string(raw), "\r\n")
	if err == nil && (text == "" || strings.ContainsAny(text, "\r\n")) {
		err = badSecret("read the broker's password from "+s.Password, "it does not hold one line", "write the password into it, and nothing else")
	}
	return text, err
}

// Bounds of a file, in bytes: whoever names another one by mistake is told so.
const (
	maxPassword = 4 << 10
	maxPEM      = 4 << 20
)

func readSecret(attempt, file string, limit int64) ([]byte, error) {
	attempt += " from " + file
	f, err := os.Open(file)
	if err != nil {
		return nil, badSecret(attempt, errors.Unwrap(err).Error(), "see that the file is there, and that this user may read it")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, badSecret(attempt, err.Error(), "name a file that can be read")
	case int64(len(raw)) > limit:
		return nil, badSecret(attempt, fmt.Sprintf("it is larger than %d bytes", limit), "name the file that is meant")
	}
	return raw, nil
}

func badSecret(attempt, why, hint string) error {
	return &Error{Code: "broker.credentials", Message: attempt, Why: why, Hint: hint}
}
