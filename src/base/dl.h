/* Libraries opened on first use: a typed symbol table per library (style.md §1.1).
 * Layer: base. zk_dl_open is thread-safe; the file that owns a library keeps its table.
 *
 *	#define CURL_SYMS(X) X(curl_global_init) X(curl_easy_init)
 *	static struct { CURL_SYMS(ZK_DL_FIELD) } cu;
 *	#define ROW(s) ZK_DL_ROW_OF(cu, s)
 *	static const struct zk_dl_sym syms[] = { CURL_SYMS(ROW) };
 *	ZK_DL_NOTE("http", "HTTP client", "recommended", "libcurl.so.4");
 *	static struct zk_dl lib = ZK_DL_INIT("libcurl.so.4", "libcurl4", &cu, syms);
 *	…
 *	if (zk_dl_open(&lib, err) < 0) return …;
 *	(cu.curl_easy_init)();    // parentheses: some of them are macros
 */
#ifndef ZK_BASE_DL_H
#define ZK_BASE_DL_H

#include <pthread.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_dl_sym {
	const char *name;
	size_t off;
};

struct zk_dl {
	const char *soname;
	const char *package; /* Debian package that has it, for the hint */
	void *table;
	const struct zk_dl_sym *syms;
	size_t n_syms;
	int state; /* 0 not tried, 1 open, -1 failed */
};

#define ZK_DL_FIELD(s)     __typeof__(&s) s;
#define ZK_DL_ROW_OF(t, s) { #s, offsetof(__typeof__(t), s) },
#define ZK_DL_INIT(so, pkg, tab, rows)                                            \
	{                                                                         \
		.soname = (so), .package = (pkg), .table = (tab), .syms = (rows), \
		.n_syms = ZK_ARRAY_LEN(rows)                                      \
	}

/* Opens the library and fills its table; at once when it is open already. It is never closed
 * (a dlclose hides leak reports). 0, or -ZK_E_LIBRARY naming library and package. Any thread. */
int zk_dl_open(struct zk_dl *dl, struct zk_error *err) ZK_MUST_USE;

/* Metadata for packagers (the .note.dlopen ELF note). At file scope. */
#define ZK_DL_NOTE(feature, descr, prio, soname)                                        \
	__asm__(".pushsection .note.dlopen,\"a\",%note\n.balign 4\n"                    \
	        ".4byte 2f-1f\n.4byte 4f-3f\n.4byte 0x407c0c0a\n1: .asciz \"FDO\"\n2: " \
	        ".balign 4\n"                                                           \
	        "3: .asciz \"[{\\\"feature\\\":\\\"" feature                            \
	        "\\\",\\\"description\\\":\\\"" descr "\\\",\\\"priority\\\":\\\"" prio \
	        "\\\",\\\"soname\\\":[\\\"" soname "\\\"]}]\"\n"                        \
	        "4: .balign 4\n.popsection\n")

#endif
