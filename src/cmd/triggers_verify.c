/* `zk triggers verify`.
 * Layer: cmd. specs/triggers.md §9, §14.1. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "conf/secret.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define MAX_REQUEST ((size_t)64 << 20)

struct verify_opts {
	struct zk_secret secret;
	int64_t tolerance_ms;
};

static const struct zk_opt verify_rows[] = {
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "secret",
	  .off = offsetof(struct verify_opts, secret),
	  .flags = ZK_OPT_REQUIRED,
	  .conf = "-",
	  .help = "the signing secret (whsec_…)" },
	{ .type = ZK_OPT_DURATION,
	  .name = "tolerance",
	  .meta = "D",
	  .def = "5m",
	  .min = 1000,
	  .max = 3650LL * 86400 * 1000,
	  .off = offsetof(struct verify_opts, tolerance_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how old, or how far in the future, the time stamp may be" },
	ZK_OPT_END,
};

/* Header lines up to the empty one, then the body; a request line in front is passed over. */
static void split(zk_str text, struct zk_trig_signed *rq)
{
	while (text.n) {
		zk_str line, name;

		text = zk_str_cut(text, '\n', &line);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!line.n)
			break;
		zk_str value = zk_str_trim(zk_str_cut(line, ':', &name));

		name = zk_str_trim(name);
		if (zk_str_eq_nocase(name, ZK_STR("webhook-id")))
			rq->id = value;
		else if (zk_str_eq_nocase(name, ZK_STR("webhook-timestamp")))
			rq->timestamp = value;
		else if (zk_str_eq_nocase(name, ZK_STR("webhook-signature")))
			rq->signatures = value;
	}
	rq->body = text;
}

static int check(const struct verify_opts *o, zk_str secret, zk_str text,
                 struct zk_error *err)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	struct zk_trig_signed rq = { 0 };

	zk_buf_init_secret(&key, 256);
	if (zk_trig_secret_parse(secret, &key, err) < 0)
		return -(int)err->code;
	split(text, &rq);
	if (!rq.id.n || !rq.timestamp.n || !rq.signatures.n)
		return zk_fail(err, ZK_E_SIGNATURE,
		               "the input lacks webhook-id, webhook-timestamp or "
		               "webhook-signature");
	return zk_trig_verify(zk_buf_str(&key), &rq, zk_wall_us() / 1000000,
	                      o->tolerance_ms / 1000, err);
}

static int verify_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct verify_opts *o = opts;
	struct zk_buf secret ZK_CLEANUP(zk_buf_done);
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	struct zk_loop *loop = zk_app_loop(app, err);

	(void)argc;
	(void)argv;
	zk_buf_init_secret(&secret, ZK_SECRET_MAX);
	zk_buf_init(&text, MAX_REQUEST);
	if (!loop || zk_secret_load(&o->secret, &secret, err) < 0 ||
	    zk_input_all(loop, "-", &text, err) < 0)
		return -(int)err->code;
	return check(o, zk_buf_str(&secret), zk_buf_str(&text), err);
}

const struct zk_cmd zk_cmd_triggers_verify = {
	.path = "triggers verify",
	.help = "check the signature of a webhook",
	.about = "Reads the headers, an empty line and the body from stdin. Any of "
	         "several signatures "
	         "may match.",
	.examples = "zk triggers verify --secret-file whsec < request.http",
	.output = "nothing; the exit status is the answer",
	.exits = "0 valid · 1 not valid · 78 no secret",
	.see = "man zk-triggers",
	.opts = verify_rows,
	.opts_size = sizeof(struct verify_opts),
	.conf = "triggers.verify",
	.flags = ZK_CMD_READS_INPUT,
	.run = verify_run,
};
