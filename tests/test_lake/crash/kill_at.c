/* Kill the process just before its n-th file-changing call under one folder; the call may do half its work first.
   Loaded with LD_PRELOAD. Python arms it in a forked child through ctypes, and asks how many calls there were. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096];
static size_t folder_length;
static long fatal;
static int is_torn;
static atomic_long seen;

void kill_at(const char *where, long number, int torn) {
    folder_length = (size_t)snprintf(folder, sizeof folder, "%s/", where);
    fatal = number;
    is_torn = torn;
    atomic_store(&seen, 0);
}

long calls_seen(void) { return atomic_load(&seen); }

static int is_inside(const char *path) { return folder_length && path && strncmp(path, folder, folder_length) == 0; }

static int is_open_inside(int descriptor) {
    char link[64], path[4096];
    if (!folder_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_inside(path);
}

static int is_last(int applies) { return applies && atomic_fetch_add(&seen, 1) + 1 == fatal; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC))
#define GUARD(applies) do { if (is_last(applies)) die(); } while (0)

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        va_list rest; va_start(rest, flags);                              \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);                 \
        GUARD(CHANGES(flags) && is_inside(path));                         \
        return REAL(name)(path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                      \
    int name(int at, const char *path, int flags, ...) {                  \
        va_list rest; va_start(rest, flags);                              \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);                 \
        GUARD(CHANGES(flags) && is_inside(path));                         \
        return REAL(name)(at, path, flags, mode);                         \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int to, const void *data, size_t size) {
    if (is_last(is_open_inside(to))) {
        if (is_torn) REAL(write)(to, data, size / 2);
        die();
    }
    return REAL(write)(to, data, size);
}

ssize_t writev(int to, const struct iovec *parts, int count) {
    if (is_last(is_open_inside(to))) {
        if (is_torn && count) REAL(write)(to, parts[0].iov_base, parts[0].iov_len / 2);
        die();
    }
    return REAL(writev)(to, parts, count);
}

ssize_t pwrite64(int to, const void *data, size_t size, off64_t offset) {
    GUARD(is_open_inside(to));
    return REAL(pwrite64)(to, data, size, offset);
}

int rename(const char *from, const char *to) { GUARD(is_inside(to)); return REAL(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) { GUARD(is_inside(to)); return REAL(renameat)(a, from, b, to); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { GUARD(is_inside(to)); return REAL(renameat2)(a, from, b, to, flags); }
int link(const char *from, const char *to) { GUARD(is_inside(to)); return REAL(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { GUARD(is_inside(to)); return REAL(linkat)(a, from, b, to, flags); }
int unlink(const char *path) { GUARD(is_inside(path)); return REAL(unlink)(path); }
int unlinkat(int at, const char *path, int flags) { GUARD(is_inside(path)); return REAL(unlinkat)(at, path, flags); }
int mkdir(const char *path, mode_t mode) { GUARD(is_inside(path)); return REAL(mkdir)(path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { GUARD(is_inside(path)); return REAL(mkdirat)(at, path, mode); }
int rmdir(const char *path) { GUARD(is_inside(path)); return REAL(rmdir)(path); }
int ftruncate64(int of, off64_t size) { GUARD(is_open_inside(of)); return REAL(ftruncate64)(of, size); }
int fsync(int of) { GUARD(is_open_inside(of)); return REAL(fsync)(of); }
int fdatasync(int of) { GUARD(is_open_inside(of)); return REAL(fdatasync)(of); }
