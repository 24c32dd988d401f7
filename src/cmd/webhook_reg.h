/* The registration of a receiver with the server, for as long as it runs.
 * Layer: cmd. specs/zeal-zip.md §8.1, §8.4. */
#ifndef ZK_CMD_WEBHOOK_REG_H
#define ZK_CMD_WEBHOOK_REG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct hook_reg;
struct zk_loop;
struct zk_zip;

struct hook_reg_conf {
	struct zk_zip *zip;
	const char *ns, *url;
	const char *events;                   /* JSON array, as the server wants it */
	const char *check_name, *check_value; /* a header it shall send; NULL = none */
	void *ctx;
	void (*on_ready)(void *ctx, const char *id);            /* the first time */
	void (*on_lost)(void *ctx, const struct zk_error *err); /* cannot be registered */
};

/* Removes what an earlier run left under the same URL, registers, looks every minute whether it is
 * still there. Texts are copied. */
struct hook_reg *hook_reg_new(struct zk_loop *loop, const struct hook_reg_conf *conf);
/* Deletes the registration (2 tries, 3 s); fn(ctx) in any case, not from inside this. */
void hook_reg_end(struct hook_reg *r, void (*fn)(void *ctx), void *ctx);
void hook_reg_free(struct hook_reg *r); /* NULL is fine */

/* A webhook of an answer of GET /webhooks; slices of it, all but the id raw JSON. */
struct hook_list {
	zk_str id, url, events, json;
};
/* The next one; *pos = 0 at the start. False at the end. */
bool hook_list_next(zk_str answer, size_t *pos, struct hook_list *ret);

#endif
