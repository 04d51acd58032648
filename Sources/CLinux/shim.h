#include <sys/epoll.h>
#include <sys/eventfd.h>

// Calls of the C library that its headers declare only under _GNU_SOURCE, which Swift's own import does not set.
extern int memfd_create(const char *name, unsigned int flags);
