/* Version and commit of this build.
 * Layer: base. The one place is meson.build; ZK_VERSION comes from its project() line. */
#ifndef ZK_BASE_VERSION_H
#define ZK_BASE_VERSION_H

/* Short commit id, "unknown" when built outside a checkout. */
extern const char zk_commit[];

/* Facts of the build for `zk version`; texts may be empty. */
struct zk_build {
	const char *date;      /* RFC 3339, from SOURCE_DATE_EPOCH only */
	const char *compiler;  /* "gcc 12.2.0" */
	const char *type;      /* "release" */
	const char *hardening; /* names, separated by blanks */
};
extern const struct zk_build zk_build;

/* Libraries by name, with the version of the headers it was built with; ends with name NULL. */
struct zk_build_lib {
	const char *name, *version;
	int lazy; /* opened on first use */
};
extern const struct zk_build_lib zk_build_libs[];

#endif
