/* Tables, endpoints, workspaces: what they may look like (specs/zerobus.md §3, §4.1).
 * Layer: zerobus. Pure functions. */
#ifndef ZK_ZEROBUS_NAMES_H
#define ZK_ZEROBUS_NAMES_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

/* Appends "catalog.schema.table" without backquotes: 0 or -ZK_E_ZB_TABLE naming the part. */
int zk_zb_table_parse(zk_str text, struct zk_buf *ret, struct zk_error *err) ZK_MUST_USE;

struct zk_zb_endpoint {
	char *url;  /* with scheme, host and port as given; no path */
	char *host; /* lower case */
	bool tls;
};

/* Accepts "host", "https://host:port", "http://…" (loopback, or `insecure`): 0 or
 * -ZK_E_ZB_ENDPOINT. */
int zk_zb_endpoint_parse(const char *text, bool insecure, struct zk_zb_endpoint *ret,
                         struct zk_error *err) ZK_MUST_USE;
void zk_zb_endpoint_done(struct zk_zb_endpoint *e);
bool zk_zb_is_loopback(const char *host);
/* The id that an endpoint's host begins with: "1234567890123456"; empty = none. */
zk_str zk_zb_workspace_of(const char *host);

enum zk_zb_token_for { ZK_ZB_TO_WRITE, ZK_ZB_TO_READ };
/* Appends the form of a token request for one table. */
void zk_zb_token_form(zk_str table, zk_str workspace_id, enum zk_zb_token_for what,
                      struct zk_buf *ret);

#endif
