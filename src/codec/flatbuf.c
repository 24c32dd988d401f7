/* Bounded reader of flatbuffers.
 * Layer: codec. */
#include "codec/flatbuf.h"

#include <string.h>

#include "codec/le.h"

#include "base/ban.h"

static void broken(struct zk_fb *fb, const char *what)
{
	if (!fb->bad)
		fb->bad = what;
}

void zk_fb_init(struct zk_fb *fb, zk_str bytes)
{
	fb->p = (const uint8_t *)bytes.p;
	fb->n = bytes.n;
	fb->bad = NULL;
}

/* Opens the table at `pos`, which may be anything. */
static void open_table(struct zk_fb *fb, uint64_t pos, struct zk_fb_table *ret)
{
	struct zk_fb_table t = { .fb = fb };
	int64_t vtable;

	*ret = (struct zk_fb_table){ 0 };
	if (pos + 4 > fb->n) {
		broken(fb, "a table lies outside the metadata");
		return;
	}
	t.pos = (uint32_t)pos;
	vtable = (int64_t)pos - zk_le_i32(fb->p + pos);
	if (vtable < 0 || (uint64_t)vtable + 4 > fb->n) {
		broken(fb, "a table's layout lies outside the metadata");
		return;
	}
	t.vtable = (uint32_t)vtable;
	t.vtable_n = zk_le_u16(fb->p + vtable);
	t.size = zk_le_u16(fb->p + vtable + 2);
	if (t.vtable_n < 4 || t.vtable_n % 2 || (uint64_t)vtable + t.vtable_n > fb->n ||
	    t.size < 4 || pos + t.size > fb->n) {
		broken(fb, "a table's layout is not possible");
		return;
	}
	*ret = t;
}

void zk_fb_root(struct zk_fb *fb, struct zk_fb_table *ret)
{
	*ret = (struct zk_fb_table){ 0 };
	if (fb->n < 8 || fb->n > UINT32_MAX / 2) {
		broken(fb, "the metadata is too short or too long");
		return;
	}
	open_table(fb, zk_le_u32(fb->p), ret);
}

/* Where the field lies, 0 when absent. */
static size_t field(const struct zk_fb_table *t, unsigned id, size_t size)
{
	uint16_t off;

	if (!t->fb || 4 + 2 * (id + 1) > t->vtable_n)
		return 0;
	off = zk_le_u16(t->fb->p + t->vtable + 4 + 2 * id);
	if (off == 0)
		return 0;
	if (off < 4 || off + size > t->size) {
		broken(t->fb, "a field lies outside its table");
		return 0;
	}
	return (size_t)t->pos + off;
}

uint8_t zk_fb_u8(const struct zk_fb_table *t, unsigned id, uint8_t def)
{
	size_t at = field(t, id, 1);

	return at ? t->fb->p[at] : def;
}

int16_t zk_fb_i16(const struct zk_fb_table *t, unsigned id, int16_t def)
{
	size_t at = field(t, id, 2);

	return at ? (int16_t)zk_le_u16(t->fb->p + at) : def;
}

int32_t zk_fb_i32(const struct zk_fb_table *t, unsigned id, int32_t def)
{
	size_t at = field(t, id, 4);

	return at ? zk_le_i32(t->fb->p + at) : def;
}

int64_t zk_fb_i64(const struct zk_fb_table *t, unsigned id, int64_t def)
{
	size_t at = field(t, id, 8);

	return at ? zk_le_i64(t->fb->p + at) : def;
}

/* Follows the offset at `at`; 0 when it leads outside. */
static uint64_t follow(struct zk_fb *fb, size_t at)
{
	uint64_t to = (uint64_t)at + zk_le_u32(fb->p + at);

	if (to + 4 > fb->n || to == at) {
		broken(fb, "an offset leads outside the metadata");
		return 0;
	}
	return to;
}

void zk_fb_vector(const struct zk_fb_table *t, unsigned id, size_t size,
                  struct zk_fb_vec *ret)
{
	size_t at = field(t, id, 4);
	uint64_t to;
	uint32_t count;

	*ret = (struct zk_fb_vec){ .fb = t->fb };
	to = at ? follow(t->fb, at) : 0;
	if (!to)
		return;
	count = zk_le_u32(t->fb->p + to);
	if ((uint64_t)count * size > t->fb->n - to - 4) {
		broken(t->fb, "a vector is longer than the metadata");
		return;
	}
	ret->pos = (uint32_t)to + 4;
	ret->count = count;
}

zk_str zk_fb_str(const struct zk_fb_table *t, unsigned id)
{
	struct zk_fb_vec v;

	zk_fb_vector(t, id, 1, &v);
	return v.count ? zk_str_n((const char *)t->fb->p + v.pos, v.count) : ZK_STR("");
}

void zk_fb_sub(const struct zk_fb_table *t, unsigned id, struct zk_fb_table *ret)
{
	size_t at = field(t, id, 4);
	uint64_t to;

	*ret = (struct zk_fb_table){ 0 };
	to = at ? follow(t->fb, at) : 0;
	if (to)
		open_table(t->fb, to, ret);
}

const uint8_t *zk_fb_at(const struct zk_fb_vec *v, uint32_t i, size_t size)
{
	ZK_ASSERT(i < v->count);
	return v->fb->p + v->pos + (size_t)i * size;
}

void zk_fb_table_at(const struct zk_fb_vec *v, uint32_t i, struct zk_fb_table *ret)
{
	size_t at = (size_t)(zk_fb_at(v, i, 4) - v->fb->p);
	uint64_t to = follow(v->fb, at);

	*ret = (struct zk_fb_table){ 0 };
	if (to)
		open_table(v->fb, to, ret);
}
