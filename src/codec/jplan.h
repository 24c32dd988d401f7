/* jplan: the members of nested objects that zk_jscan_plan() finds, compiled once.
 * Layer: codec. Constant once made: any thread.
 *
 *	static const struct zk_jplan_want wants[] = {
 *		{ ZK_STR_INIT("did"), 0 },
 *		{ ZK_STR_INIT("commit"), 0 },
 *		{ ZK_STR_INIT("rev"), 2 },  in "commit"
 *	};
 *	struct zk_jval vals[ZK_ARRAY_LEN(wants)];
 *
 *	zk_jplan_init(&plan, wants, ZK_ARRAY_LEN(wants));
 *	if (zk_jscan_plan(text, 256, &plan, vals, &js) < 0)
 *		… as with zk_jscan() …
 */
#ifndef ZK_CODEC_JPLAN_H
#define ZK_CODEC_JPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "codec/jbytes.h"
#include "codec/jscan.h"

#define ZK_JPLAN_MAX  32 /* wants of a plan */
#define ZK_JPLAN_ROOM 64 /* slots of one object; a power of two */

/* `name` is the decoded name, static; `in` is 0 for members of the top object, else the parent's
 * place in the array plus one: parents stand before their children, at most ZK_JSCAN_LEVELS
 * deep. */
struct zk_jplan_want {
	zk_str name;
	unsigned in;
};

struct zk_jplan {
	size_t n;
	struct {
		zk_str name;
		char text[16]; /* the name again, when it fits */
		unsigned in;
		uint32_t below; /* the rows it lies in, a bit each */
		bool parent;    /* has rows below it */
	} rows[ZK_JPLAN_MAX];
	/* The names of each object (0 = the top one): a table without collisions. */
	struct {
		uint32_t factor;
		uint8_t slots[ZK_JPLAN_ROOM]; /* row plus one, 0 = none */
	} objects[ZK_JPLAN_MAX + 1];
};

/* What does not fit the bounds above is a programming error, and so are two names of an object
 * with the same length, first and last letter. */
void zk_jplan_init(struct zk_jplan *p, const struct zk_jplan_want *wants, size_t n);

/* zk_jscan() for the members of a plan: vals[i] is the last value of want i, of the last
 * occurrence of its parents; ZK_J_NONE when there is none. */
int zk_jscan_plan(zk_str text, unsigned max_depth, const struct zk_jplan *plan,
                  struct zk_jval *vals, struct zk_jscan *res) ZK_MUST_USE;

/* ---- inside ---- */

static inline unsigned zk_jplan_hash(uint32_t factor, zk_str name)
{
	uint32_t h = (uint32_t)name.n;

	if (name.n)
		h += (uint32_t)(unsigned char)name.p[0] << 8 |
		     (uint32_t)(unsigned char)name.p[name.n - 1] << 16;
	return h * factor >> 24 & (ZK_JPLAN_ROOM - 1);
}

/* The only row of the object `in` that may have this name, plus one; 0 = none. */
static inline unsigned zk_jplan_slot(const struct zk_jplan *p, unsigned in, zk_str name)
{
	return p->objects[in].slots[zk_jplan_hash(p->objects[in].factor, name)];
}

/* Whether a name that lies in a text that ends at `end` is that of a row. */
static inline bool zk_jplan_is(const struct zk_jplan *p, unsigned row, zk_str name,
                               const char *end)
{
	const zk_str want = p->rows[row].name;

	if (name.n != want.n)
		return false;
	if (name.n > sizeof(p->rows[row].text) || end - name.p < 16)
		return zk_str_eq(name, want);
	return zk_jb_same16(name.p, p->rows[row].text, name.n);
}

/* The same as the slot for a raw name (with quotes) that has escapes; compared completely. */
unsigned zk_jplan_find_escaped(const struct zk_jplan *p, unsigned in, zk_str raw);

#endif
