;; Gives bytes back, as a function that the component exports: what a guest that was made without
;; our SDK is called through. It copies them once, as the other guest does.
(component
  (core module $module
    (memory (export "memory") 1)

    ;; The argument is all that is ever put in. It lies on the second page, whatever was there.
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (call $reserve (i32.add (i32.const 0x10000) (local.get $size)))
      (i32.const 0x10000))

    (func (export "echo") (param $at i32) (param $size i32) (result i32) (local $copy i32)
      (local.set $copy (i32.add (local.get $at) (local.get $size)))
      (call $reserve (i32.add (local.get $copy) (local.get $size)))
      (memory.copy (local.get $copy) (local.get $at) (local.get $size))
      ;; Where the result is, and how long.
      (i32.store (i32.const 16) (local.get $copy))
      (i32.store (i32.const 20) (local.get $size))
      (i32.const 16))

    (func $reserve (param $end i32) (local $pages i32)
      (local.set $pages (i32.shr_u (i32.add (local.get $end) (i32.const 0xffff)) (i32.const 16)))
      (if (i32.gt_u (local.get $pages) (memory.size))
        (then (if (i32.lt_s (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const 0))
          (then (unreachable)))))))
  (core instance $core (instantiate $module))
  (func (export "echo") (param "bytes" (list u8)) (result (list u8))
    (canon lift (core func $core "echo")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc")))))
