/* The table of all commands.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd *const zk_cmds[] = {
	/* Data */
	&zk_cmd_triggers,
	&zk_cmd_triggers_serve,
	&zk_cmd_triggers_keys,
	&zk_cmd_triggers_keys_generate,
	&zk_cmd_triggers_keys_show,
	&zk_cmd_triggers_keys_rotate,
	&zk_cmd_triggers_send,
	&zk_cmd_triggers_inbox,
	&zk_cmd_triggers_ack,
	&zk_cmd_triggers_webhook,
	&zk_cmd_triggers_webhook_set,
	&zk_cmd_triggers_webhook_show,
	&zk_cmd_triggers_webhook_test,
	&zk_cmd_triggers_webhook_disable,
	&zk_cmd_triggers_webhook_rotate_secret,
	&zk_cmd_triggers_replay,
	&zk_cmd_triggers_listen,
	&zk_cmd_triggers_verify,
	&zk_cmd_triggers_top,
	&zk_cmd_triggers_migrate,
	&zk_cmd_triggers_check,
	&zk_cmd_procwire,
	&zk_cmd_procwire_worker,
	&zk_cmd_procwire_call,
	&zk_cmd_procwire_bench,
	/* Operate */
	&zk_cmd_health,
	&zk_cmd_spool,
	&zk_cmd_spool_list,
	&zk_cmd_spool_show,
	&zk_cmd_spool_flush,
	&zk_cmd_spool_drop,
	&zk_cmd_spool_export,
	&zk_cmd_demo,
	/* Set up */
	&zk_cmd_config,
	&zk_cmd_config_show,
	&zk_cmd_config_path,
	&zk_cmd_config_init,
	&zk_cmd_config_trust,
	&zk_cmd_config_validate,
	&zk_cmd_profile,
	&zk_cmd_profile_list,
	&zk_cmd_profile_show,
	&zk_cmd_profile_use,
	&zk_cmd_completion,
	&zk_cmd_explain,
	&zk_cmd_help,
	&zk_cmd_schema,
	&zk_cmd_version,
	/* Hidden */
	&zk_cmd_complete,
	&zk_cmd_emit,
	NULL,
};
