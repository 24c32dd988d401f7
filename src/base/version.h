/* Version and commit of this build.
 * Layer: base. The one place is meson.build; ZK_VERSION comes from its project() line. */
#ifndef ZK_BASE_VERSION_H
#define ZK_BASE_VERSION_H

/* Short commit id, "unknown" when built outside a checkout. */
extern const char zk_commit[];

#endif
