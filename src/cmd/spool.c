/* `zk spool`: the group, and what its commands share.
 * Layer: cmd. */
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"

#include "base/ban.h"

int zk_spool_place(struct zk_app *app, const char *dir, bool create,
                   struct zk_spool_conf *conf, char **ret_dir, struct zk_error *err)
{
	if (dir) {
		*ret_dir = zk_strdup(dir);
	} else {
		char *state = zk_app_state_dir(app, create, err);

		if (!state)
			return -(int)err->code;
		*ret_dir = zk_asprintf("%s/spool", state);
		free(state);
	}
	conf->dir = *ret_dir;
	conf->profile = zk_app_profile(app);
	conf->create = create;
	return 0;
}

int spool_open(struct zk_app *app, const char *dir, struct zk_spool **ret,
               struct zk_error *err)
{
	struct zk_spool_conf conf = { 0 };
	char *owned = NULL;
	int r = zk_spool_place(app, dir, /* create */ false, &conf, &owned, err);

	*ret = NULL;
	if (r == 0)
		r = zk_spool_open(&conf, ret, err);
	free(owned);
	if (r == -ZK_E_NO_INPUT)
		return 0;
	return r < 0 ? r : 1;
}

int spool_make(struct zk_app *app, bool own, struct zk_spool **ret, struct zk_error *err)
{
	const struct zk_spool_opts *o = &app->spool;
	struct zk_spool_conf conf = { .max_bytes = o->max_bytes,
		                      .when_full = (enum zk_spool_full)o->when_full };
	struct zk_spool *sp = NULL;
	ZK_CLEANUP(zk_freep)
	char *dir = NULL;

	if (zk_spool_place(app, o->spool, /* create */ true, &conf, &dir, err) < 0 ||
	    zk_spool_open(&conf, &sp, err) < 0 || (own && zk_spool_own(sp, err) < 0)) {
		zk_spool_close(sp);
		return zk_wrap(err, "cannot use the spool");
	}
	*ret = sp;
	return 0;
}

static bool is_number(const char *s)
{
	size_t n = 0;

	while (s[n] >= '0' && s[n] <= '9')
		n++;
	return n > 0 && s[n] == '\0';
}

int spool_args_parse(int argc, char **argv, struct spool_args *ret, struct zk_error *err)
{
	struct spool_args a = { 0 };
	int numbers = 0;

	for (int i = 0; i < argc; i++)
		numbers += is_number(argv[i]);
	if (numbers && numbers < argc)
		return zk_fail(err, ZK_E_USAGE, "give either ids or targets, not both");
	if (!numbers) {
		a.filter.targets = (const char *const *)argv;
		a.filter.n_targets = (size_t)argc;
		*ret = a;
		return 0;
	}
	a.ids = zk_alloc_array((size_t)argc, sizeof(*a.ids));
	for (int i = 0; i < argc; i++)
		if (zk_parse_i64(zk_str_of(argv[i]), &a.ids[i], err) < 0) {
			free(a.ids);
			return zk_fail(err, ZK_E_USAGE, "'%s' is no number of a record",
			               argv[i]);
		}
	a.filter.ids = a.ids;
	a.filter.n_ids = (size_t)argc;
	*ret = a;
	return 0;
}

void spool_args_done(struct spool_args *a)
{
	free(a->ids);
	a->ids = NULL;
}

const char *const spool_states[] = { "any", "waiting", "sending", "failed", NULL };

unsigned spool_state_bits(int index)
{
	switch (index) {
	case 1:
		return 1u << ZK_SPOOL_WAITING;
	case 2:
		return 1u << ZK_SPOOL_SENDING;
	case 3:
		return 1u << ZK_SPOOL_FAILED;
	default:
		return 0;
	}
}

const struct zk_cmd zk_cmd_spool = {
	.path = "spool",
	.section = "Operate",
	.help = "what could not be sent yet: list, show, flush, drop, export",
	.about = "Records that a command could not deliver, or wrote ahead with "
	         "--durable, wait on "
	         "disk, one file per profile. Each stays until the other side has "
	         "acknowledged it. "
	         "A target is KIND:DESTINATION, such as triggers:http://localhost:8080; "
	         "'*' in it "
	         "stands for any text.",
	.see = "man zk-spool",
};
