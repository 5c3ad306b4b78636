package guest

import "github.com/tetratelabs/wazero/api"

// The rest of WASI preview 1. Standard libraries import these functions even if a program never opens a file; they are
// linked, so that such guests run, and say that there is nothing.

// absent answers for a function that this system does not have.
func absent(*scope, []uint64) uint64 { return errnoNosys }

// noDescriptor answers for a descriptor that is not open. Runtimes ask for directories until they hear this.
func noDescriptor(*scope, []uint64) uint64 { return errnoBadf }

func absentFunctions() []function {
	list := []function{{"fd_prestat_get", values(i32, i32), values(i32), errno(noDescriptor)}}
	for name, params := range absentParams {
		list = append(list, function{name, params, values(i32), errno(absent)})
	}
	return list
}

var absentParams = map[string][]api.ValueType{
	"clock_res_get":           values(i32, i32),
	"fd_advise":               values(i32, i64, i64, i32),
	"fd_allocate":             values(i32, i64, i64),
	"fd_close":                values(i32),
	"fd_datasync":             values(i32),
	"fd_fdstat_get":           values(i32, i32),
	"fd_fdstat_set_flags":     values(i32, i32),
	"fd_fdstat_set_rights":    values(i32, i64, i64),
	"fd_filestat_get":         values(i32, i32),
	"fd_filestat_set_size":    values(i32, i64),
	"fd_filestat_set_times":   values(i32, i64, i64, i32),
	"fd_pread":                values(i32, i32, i32, i64, i32),
	"fd_prestat_dir_name":     values(i32, i32, i32),
	"fd_pwrite":               values(i32, i32, i32, i64, i32),
	"fd_read":                 values(i32, i32, i32, i32),
	"fd_readdir":              values(i32, i32, i32, i64, i32),
	"fd_renumber":             values(i32, i32),
	"fd_seek":                 values(i32, i64, i32, i32),
	"fd_sync":                 values(i32),
	"fd_tell":                 values(i32, i32),
	"path_create_directory":   values(i32, i32, i32),
	"path_filestat_get":       values(i32, i32, i32, i32, i32),
	"path_filestat_set_times": values(i32, i32, i32, i32, i64, i64, i32),
	"path_link":               values(i32, i32, i32, i32, i32, i32, i32),
	"path_open":               values(i32, i32, i32, i32, i32, i64, i64, i32, i32),
	"path_readlink":           values(i32, i32, i32, i32, i32, i32),
	"path_remove_directory":   values(i32, i32, i32),
	"path_rename":             values(i32, i32, i32, i32, i32, i32),
	"path_symlink":            values(i32, i32, i32, i32, i32),
	"path_unlink_file":        values(i32, i32, i32),
	"proc_raise":              values(i32),
	"sock_accept":             values(i32, i32, i32),
	"sock_recv":               values(i32, i32, i32, i32, i32, i32),
	"sock_send":               values(i32, i32, i32, i32, i32),
	"sock_shutdown":           values(i32, i32),
}
