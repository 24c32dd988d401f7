/* Secrets by reference: describing where one comes from.
 * Layer: conf. */
#include "conf/secret.h"

#include <string.h>

#include "base/ban.h"

static void describe_inline(const char *text, struct zk_buf *b)
{
	static const unsigned classes[] = { 80, 60, 40, 20, 10 };
	size_t n = strlen(text);

	for (size_t i = 0; i < ZK_ARRAY_LEN(classes); i++) {
		if (n >= classes[i]) {
			zk_buf_printf(b, "(set, %u+ chars)", classes[i]);
			return;
		}
	}
	zk_buf_lit(b, "(set, short)");
}

void zk_secret_describe(const struct zk_secret *s, struct zk_buf *b)
{
	switch (s->kind) {
	case ZK_SECRET_NONE:
		break;
	case ZK_SECRET_FILE:
		zk_buf_printf(b, "file %s", s->text);
		break;
	case ZK_SECRET_FD:
		zk_buf_printf(b, "descriptor %s", s->text);
		break;
	case ZK_SECRET_ENV:
		zk_buf_printf(b, "$%s", s->text);
		break;
	case ZK_SECRET_COMMAND:
		zk_buf_lit(b, "command:");
		for (size_t i = 0; i < s->argc; i++)
			zk_buf_printf(b, " %s", s->argv[i]);
		break;
	case ZK_SECRET_CREDENTIAL:
		zk_buf_printf(b, "credential %s", s->text);
		break;
	case ZK_SECRET_INLINE:
		describe_inline(s->text, b);
		break;
	}
}
