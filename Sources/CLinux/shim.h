#include <sys/epoll.h>
#include <sys/eventfd.h>

// Calls of the C library that its headers declare only under _GNU_SOURCE, which Swift's own import does not set.
extern int memfd_create(const char *name, unsigned int flags);
// struct pollfd, struct timespec, sigset_t: their headers belong to Swift's own import.
extern int ppoll(void *descriptors, unsigned long count, const void *timeout, const void *mask);
extern int setns(int descriptor, int kind);
// sys/xattr.h: extended attributes, by which the kernel keeps ACLs and security labels too.
extern long flistxattr(int descriptor, char *names, unsigned long size);
extern long fgetxattr(int descriptor, const char *name, void *value, unsigned long size);
extern int fsetxattr(int descriptor, const char *name, const void *value, unsigned long size, int flags);
extern int fremovexattr(int descriptor, const char *name);
