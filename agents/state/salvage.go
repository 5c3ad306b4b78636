package state

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
)

// salvage reads what can still be read of a database that was set aside. A nil
// salvage has nothing.
type salvage struct {
	db        *sql.DB
	temporary string // the file to remove, if it is a copy
}

// beyondSalvage are tables that are recovered otherwise: policies and versions
// from the records, and the audit trail not at all, since half a chain proves
// nothing; it stays readable in the file.
var beyondSalvage = []string{"policies", "versions", "audit", "components"}

func openSalvage(path string) *salvage {
	s := &salvage{}
	if whole, err := lengthen(path); err != nil {
		return nil
	} else if whole != path {
		path, s.temporary = whole, whole
	}
	q := url.Values{"_pragma": {"query_only(on)", "cache_size(-256)"}}
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil
	}
	db.SetMaxOpenConns(1)
	s.db = db
	return s
}

func (s *salvage) close() {
	if s == nil {
		return
	}
	_ = s.db.Close()
	if s.temporary != "" {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(s.temporary + suffix)
		}
	}
}

// lengthen returns a copy of a database that was cut short, with zeros for what
// is missing: SQLite reads nothing at all of a file that is shorter than its
// header says. A file that is not short is returned itself.
func lengthen(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	size := sizeInHeader(f)
	if size <= st.Size() || size > maxLengthened {
		return path, nil
	}
	whole, err := os.Create(path + ".lengthened")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(whole, f)
	return whole.Name(), errors.Join(err, whole.Truncate(size), whole.Close())
}

const maxLengthened = 4 << 30 // beyond, the header is no more to be trusted

// sizeInHeader is page size times pages, as in section 1.3 of SQLite's file
// format; 0 if there is no such header.
func sizeInHeader(f *os.File) int64 {
	var h [100]byte
	if _, err := f.ReadAt(h[:], 0); err != nil || string(h[:15]) != "SQLite format 3" {
		return 0
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	return page * int64(binary.BigEndian.Uint32(h[28:]))
}

// copy copies the rows of a component's tables, if the damaged database had them
// in the present version.
func (s *salvage) copy(ctx context.Context, d *DB, component string, version int) error {
	if s == nil {
		return nil
	}
	have, err := d.version(ctx, s.db, component)
	if err != nil || have != version {
		d.report.Warnings = append(d.report.Warnings, "tables of "+component+" could not be recovered from "+d.report.SetAside)
		return nil
	}
	tables, err := tablesOf(ctx, d.read)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if slices.Contains(beyondSalvage, t) || !s.has(ctx, t) {
			continue
		}
		n, lost := s.copyTable(ctx, d, t)
		d.report.Salvaged += n
		if lost != nil {
			d.report.Warnings = append(d.report.Warnings, fmt.Sprintf("table %s was recovered in part, %d rows: %v", t, n, lost))
		}
	}
	return nil
}

func tablesOf(ctx context.Context, q *sql.DB) ([]string, error) {
	return collect(ctx, q, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid`, nil,
		func(r *sql.Rows) (name string, err error) { return name, r.Scan(&name) })
}

func (s *salvage) has(ctx context.Context, table string) bool {
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?`, table).Scan(&n)
	return err == nil && n > 0
}

// copyTable reads a table from its beginning and, if that ends in damage, from
// its end.
func (s *salvage) copyTable(ctx context.Context, d *DB, table string) (n int, lost error) {
	for _, order := range []string{"ASC", "DESC"} {
		m, err := s.copyRows(ctx, d, table, order)
		n += m
		lost = errors.Join(lost, err)
		if err == nil {
			break
		}
	}
	return n, lost
}

func (s *salvage) copyRows(ctx context.Context, d *DB, table, order string) (n int, err error) {
	r, err := s.db.QueryContext(ctx, `SELECT * FROM `+table+` ORDER BY 1 `+order)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	columns, err := r.Columns()
	if err != nil {
		return 0, err
	}
	insert := fmt.Sprintf(`INSERT OR IGNORE INTO %s (%s) VALUES (?%s)`, table, strings.Join(columns, ", "),
		strings.Repeat(", ?", len(columns)-1))
	for more := true; more; {
		var batch [][]any
		if batch, more, err = readBatch(r, len(columns)); err != nil {
			return n, err
		}
		n += d.insertBatch(ctx, insert, batch)
	}
	return n, r.Err()
}

func readBatch(r *sql.Rows, columns int) (batch [][]any, more bool, err error) {
	for len(batch) < 256 {
		if !r.Next() {
			return batch, false, nil
		}
		row := make([]any, columns)
		into := make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		if err := r.Scan(into...); err != nil {
			return batch, false, err
		}
		batch = append(batch, row)
	}
	return batch, true, nil
}

// insertBatch leaves out rows that the new tables refuse: damage can look like
// anything.
func (d *DB) insertBatch(ctx context.Context, insert string, batch [][]any) (n int) {
	err := d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n = 0
		for _, row := range batch {
			x, err := tx.ExecContext(ctx, insert, row...)
			if err != nil {
				continue
			}
			if added, err := x.RowsAffected(); err == nil {
				n += int(added)
			}
		}
		return nil
	})
	if err != nil {
		return 0
	}
	return n
}
