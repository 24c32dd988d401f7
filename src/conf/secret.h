/* Secrets by reference: where one comes from, and loading it (ux.md §5).
 * Layer: conf. */
#ifndef ZK_CONF_SECRET_H
#define ZK_CONF_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

enum zk_secret_kind {
	ZK_SECRET_NONE,    /* not configured */
	ZK_SECRET_FILE,    /* "file:PATH"; "-" is stdin; its first line */
	ZK_SECRET_FD,      /* "fd:N" */
	ZK_SECRET_ENV,     /* "env:NAME" */
	ZK_SECRET_COMMAND, /* "command:ARGV0", then one "arg:ARGVn" per argument; no shell */
	ZK_SECRET_CREDENTIAL, /* "credential:NAME", a file in $CREDENTIALS_DIRECTORY */
	ZK_SECRET_INLINE,     /* "inline:TEXT" from a file of mode 0600 */
};

/* The value of a ZK_OPT_SECRET_REF row. Owned by the option pool. */
struct zk_secret {
	enum zk_secret_kind kind;
	const char *text; /* path, number, name, argv[0] or the secret itself */
	char **argv;      /* COMMAND: NULL-terminated */
	size_t argc;
	const char *name; /* of the row, for messages */
};

/* The longest secret that is read. */
#define ZK_SECRET_MAX 16384

/* Reads the secret into `ret` (made with zk_buf_init_secret): without a line end; files and
 * commands give their first line. Registers it for redaction and turns core dumps of this
 * process off. A command gets 10 s and no stdin. 0, or -ZK_E_SECRET saying which source failed;
 * -ZK_E_SECRET too when the kind is NONE (ask first with `kind`). Blocks. */
int zk_secret_load(const struct zk_secret *s, struct zk_buf *ret,
                   struct zk_error *err) ZK_MUST_USE;
/* The same for a document that holds secrets among other lines: all of it, and nothing is
 * registered for redaction; the caller does that with what it takes out (zk_redact_add). */
int zk_secret_load_all(const struct zk_secret *s, struct zk_buf *ret,
                       struct zk_error *err) ZK_MUST_USE;
/* A credential helper is a command whose name begins with zk-credential-. It is run with `verb`
 * (get, store, erase) as its last argument, reads lines KEY=VALUE (for get: name=, the option's)
 * ended by an empty one from stdin, and answers get with a line secret=TEXT. `ret` (may be NULL)
 * gets that text. 0 or -ZK_E_SECRET. Blocks. */
int zk_credential_run(char *const *argv, size_t argc, const char *verb, zk_str fields,
                      struct zk_buf *ret, struct zk_error *err) ZK_MUST_USE;
/* "file ~/x", "command: pass show x", "$NAME", … for messages and `config show`; appended. */
void zk_secret_describe(const struct zk_secret *s, struct zk_buf *b);

#endif
