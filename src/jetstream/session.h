/* Logins at the API: an app password, or session strings of the credential service; refreshed
 * before they end, one refresh at a time.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §12.3. */
#ifndef ZK_JETSTREAM_SESSION_H
#define ZK_JETSTREAM_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_jet_session;
struct zk_jet_sessions;
struct zk_net;

struct zk_jet_sessions_conf {
	/* Direct login; NULL = none. */
	const char *pds, *identifier, *password;
	/* Credential service; NULL = none. */
	const char *graze_url, *graze_secret;
};

/* Secrets are copied and wiped at the end. */
struct zk_jet_sessions *zk_jet_sessions_new(struct zk_net *net,
                                            const struct zk_jet_sessions_conf *conf);
void zk_jet_sessions_free(
        struct zk_jet_sessions *s); /* NULL is fine; calls nobody back */
/* Logs in, or fetches the sessions: fn(ctx, NULL) when at least one is there, else what failed
 * (-ZK_E_AUTH: refused). */
void zk_jet_sessions_start(struct zk_jet_sessions *s,
                           void (*fn)(void *ctx, const struct zk_error *err), void *ctx);
/* One after the other; NULL when none works at present. */
struct zk_jet_session *zk_jet_sessions_next(struct zk_jet_sessions *s);
size_t zk_jet_sessions_count(const struct zk_jet_sessions *s);
const char *zk_jet_session_token(const struct zk_jet_session *s);
/* Where its requests go: its own server, or `fallback`. */
const char *zk_jet_session_base(const struct zk_jet_session *s, const char *fallback);
/* Refreshes it, or logs in again; joins a refresh that is running. fn comes later. */
void zk_jet_sessions_renew(struct zk_jet_sessions *all, struct zk_jet_session *s,
                           void (*fn)(void *ctx, bool ok), void *ctx);

/* "handle:::did:::access:::refresh[:::pds]": the parts, borrowed; false when malformed. Pure. */
struct zk_jet_session_text {
	zk_str handle, did, access, refresh, pds;
};
bool zk_jet_session_parse(zk_str text, struct zk_jet_session_text *ret);
/* The `exp` claim of a JWT in seconds since 1970; 0 = not known. Pure. */
int64_t zk_jet_token_expiry(zk_str jwt);

#endif
