// Makes Swift's Mutex visible to ThreadSanitizer. The slow paths of locking and unlocking (somebody else holds it, or
// waits for it) run inside libswiftSynchronization, which is not instrumented: without this every contended Mutex
// looks like a race. Preloaded by Scripts/sanitize; does nothing in a program without ThreadSanitizer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Synchronization._MutexHandle._lockSlow(UInt32) and ._unlockSlow()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

SWIFT void lock_slow(uint32_t state, SELF handle) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF handle) __asm__(UNLOCK_SLOW);

SWIFT void lock_slow(uint32_t state, SELF handle) {
    static SWIFT void (*_Atomic real)(uint32_t, SELF);
    if (!real) real = dlsym(RTLD_NEXT, LOCK_SLOW);
    real(state, handle);
    if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void unlock_slow(SELF handle) {
    static SWIFT void (*_Atomic real)(SELF);
    if (!real) real = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    if (__tsan_release) __tsan_release(handle);
    real(handle);
}
