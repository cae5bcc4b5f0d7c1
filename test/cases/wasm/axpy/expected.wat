(module
  (type (;0;) (func (param i32)))
  (type (;1;) (func))
  (type (;2;) (func (param i32 i32 i32)))
  (type (;3;) (func (param i32) (result i32)))
  (import "env" "memory" (memory (;0;) 1))
  (import "env" "share" (func $share (type 0)))
  (import "env" "barrier" (func $barrier (type 1)))
  (func $axpy (export "#0") (type 2) (param i32 i32 i32)
    (local i32 i32)
    i32.const 0
    local.tee 3
    local.get 2
    i32.lt_s
    if  ;; label = @1
      loop  ;; label = @2
        local.get 1
        local.get 3
        i32.const 2
        i32.shl
        i32.add
        local.tee 4
        local.get 0
        local.get 3
        i32.const 2
        i32.shl
        i32.add
        v128.load align=4
        v128.const i32x4 0x40000000 0x40000000 0x40000000 0x40000000
        f32x4.mul
        local.get 4
        v128.load align=4
        f32x4.add
        v128.store align=4
        local.get 3
        i32.const 4
        i32.add
        local.tee 3
        local.get 2
        i32.lt_s
        br_if 0 (;@2;)
      end
    end)
  (func $main (export "main") (type 3) (param i32) (result i32)
    local.get 0
    i32.load
    local.get 0
    i32.load offset=4
    local.get 0
    i32.load offset=8
    call 2
    i32.const 0)
  (global (;0;) (export "sp") (mut i32) (i32.const 0))
  (global (;1;) (export "threads") (mut i32) (i32.const 1)))
