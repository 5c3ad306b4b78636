;; The policy of examples/01-cpu-boost, told shortly: busy above 0.8, calm below 0.6, and nothing in between. It exists because an
;; emulated processor takes minutes to compile the example, which brings Go's runtime along. The messages are those of
;; wasmabi/schema.cddl; this module reads no more of them than it needs.
(module
  ;; the window record: request at 0x400 with 0x8000 bytes, response at 0xa000 with 0x1000
  (memory (export "memory") 2 2)
  (data (i32.const 0) "\00\04\00\00\00\80\00\00\00\a0\00\00\00\10\00\00")

  ;; The rest of an analysis after its first element: verdict, interval, reason, and one row of bounds that wake us,
  ;; metric 0 above 0.8 or below 0.6. Each is 36 bytes long.
  (data (i32.const 0x100) "\f5\00\64busy\d8\46\44\00\00\00\00\d8\56\48\9a\99\99\99\99\99\e9\3f\d8\56\48\33\33\33\33\33\33\e3\3f")
  (data (i32.const 0x140) "\f5\00\64calm\d8\46\44\00\00\00\00\d8\56\48\9a\99\99\99\99\99\e9\3f\d8\56\48\33\33\33\33\33\33\e3\3f")
  (data (i32.const 0x180) "\f4\00\64fair\d8\46\44\00\00\00\00\d8\56\48\9a\99\99\99\99\99\e9\3f\d8\56\48\33\33\33\33\33\33\e3\3f")
  (global $tail i32 (i32.const 36))

  (global $at (mut i32) (i32.const 0))    ;; where reading goes on
  (global $count (mut i32) (i32.const 0)) ;; the argument of the head that was read last
  (global $to (mut i32) (i32.const 0))    ;; where writing goes on
  (global $seq (mut i32) (i32.const 0))   ;; the length of the sequence number, which an answer repeats
  (global $busy (mut f64) (f64.const 0))
  (global $knobs (mut i32) (i32.const 0)) ;; the address of the knobs' numbers, and their size in bytes
  (global $size (mut i32) (i32.const 0))

  (func (export "edgehold_abi_v1"))
  (func (export "edgehold_window") (result i32) (i32.const 0))

  (func (export "edgehold_call") (param $op i32) (param $length i32) (result i64)
    (global.set $to (i32.const 0xa000))
    (if (i32.eq (local.get $op) (i32.const 1)) (then (return (call $analyze))))
    (if (i32.eq (local.get $op) (i32.const 2)) (then (return (call $plan))))
    ;; initialise, snapshot and health have nothing to do; anything else is unsupported
    (if (i32.or (i32.eqz (local.get $op)) (i32.or (i32.eq (local.get $op) (i32.const 16)) (i32.eq (local.get $op) (i32.const 18))))
      (then (return (i64.const 0))))
    (i64.const 0x200000000))

  (func $analyze (result i64)
    (call $read)
    (call $begin)
    (call $copy (call $tone) (global.get $tail))
    (call $end))

  (func $plan (result i64)
    (local $value f64)
    (local $left i32)
    (call $read)
    (call $begin)
    (call $copy (i32.add (call $tone) (i32.const 2)) (i32.const 5)) ;; the same reason
    (call $u32 (global.get $size))                                  ;; mechanism 0
    (call $zeros (global.get $size))
    (call $u32 (global.get $size))                                  ;; verb 0, set
    (call $zeros (global.get $size))
    (call $u32 (global.get $size))
    (call $copy (global.get $knobs) (global.get $size))
    (call $tag (i32.const 86) (i32.shl (global.get $size) (i32.const 1)))
    ;; beyond what any processor has: the limit ends at the end of the range
    (local.set $value (select (f64.const 1e11) (f64.const 0) (f64.gt (global.get $busy) (f64.const 0.8))))
    (local.set $left (global.get $size))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (f64.store (global.get $to) (local.get $value))
      (global.set $to (i32.add (global.get $to) (i32.const 8)))
      (local.set $left (i32.sub (local.get $left) (i32.const 4)))
      (br $next)))
    (call $u32 (global.get $size))                                  ;; lease 0, the host's default
    (call $zeros (global.get $size))
    (call $end))

  ;; tone is the address of the analysis that the load asks for.
  (func $tone (result i32)
    (if (f64.gt (global.get $busy) (f64.const 0.8)) (then (return (i32.const 0x100))))
    (if (f64.lt (global.get $busy) (f64.const 0.6)) (then (return (i32.const 0x140))))
    (i32.const 0x180)) ;; a missing value, which is NaN, ends here too

  ;; read takes in the observation: sequence number, time, trigger, metrics, values, ages, knobs.
  (func $read
    (global.set $at (i32.const 0x401)) ;; after the head of the array
    (call $head)
    (global.set $seq (i32.sub (global.get $at) (i32.const 0x401)))
    (call $head)
    (call $head)
    (drop (call $column))
    (global.set $busy (f64.load (call $column)))
    (drop (call $column))
    (global.set $knobs (call $column))
    (global.set $size (global.get $count)))

  ;; column reads a tagged byte string and returns its address; its size is in $count.
  (func $column (result i32)
    (local $address i32)
    (call $head)
    (call $head)
    (local.set $address (global.get $at))
    (global.set $at (i32.add (global.get $at) (global.get $count)))
    (local.get $address))

  ;; head reads an initial byte and its argument, of which values above two bytes are passed over.
  (func $head
    (local $info i32)
    (local.set $info (i32.and (i32.load8_u (global.get $at)) (i32.const 31)))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (global.set $count (local.get $info))
    (if (i32.lt_u (local.get $info) (i32.const 24)) (then (return)))
    (global.set $count (i32.load8_u (global.get $at)))
    (if (i32.eq (local.get $info) (i32.const 25))
      (then (global.set $count (i32.or (i32.shl (global.get $count) (i32.const 8)) (i32.load8_u offset=1 (global.get $at))))))
    (global.set $at (i32.add (global.get $at) (i32.shl (i32.const 1) (i32.sub (local.get $info) (i32.const 24))))))

  ;; begin writes an array of seven that starts with the sequence number.
  (func $begin
    (i32.store8 (global.get $to) (i32.const 0x87))
    (global.set $to (i32.add (global.get $to) (i32.const 1)))
    (call $copy (i32.const 0x401) (global.get $seq)))

  ;; u32 begins a column of 32-bit numbers, tag one of any; a size above 23 would need another head.
  (func $u32 (param $size i32) (call $tag (i32.const 70) (local.get $size)))
  (func $tag (param $tag i32) (param $size i32)
    (if (i32.gt_u (local.get $size) (i32.const 23)) (then (unreachable)))
    (i32.store8 (global.get $to) (i32.const 0xd8))
    (i32.store8 offset=1 (global.get $to) (local.get $tag))
    (i32.store8 offset=2 (global.get $to) (i32.or (i32.const 0x40) (local.get $size)))
    (global.set $to (i32.add (global.get $to) (i32.const 3))))

  (func $copy (param $from i32) (param $length i32)
    (memory.copy (global.get $to) (local.get $from) (local.get $length))
    (global.set $to (i32.add (global.get $to) (local.get $length))))
  (func $zeros (param $length i32)
    (memory.fill (global.get $to) (i32.const 0) (local.get $length))
    (global.set $to (i32.add (global.get $to) (local.get $length))))

  ;; end is the answer: status 0 and the length of what was written.
  (func $end (result i64)
    (i64.extend_i32_u (i32.sub (global.get $to) (i32.const 0xa000)))))
