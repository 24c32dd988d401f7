/* The table of all commands.
 * Layer: cmd. */
#ifndef ZK_CMD_CMDS_H
#define ZK_CMD_CMDS_H

#include "cli/cmd.h"

/* Groups are followed by their verbs; in the order of `zk --help`; ends with NULL. A command is
 * linked in, documented and completed by its line here. */
extern const struct zk_cmd *const zk_cmds[];

extern const struct zk_cmd zk_cmd_complete;
extern const struct zk_cmd zk_cmd_completion;
extern const struct zk_cmd zk_cmd_config;
extern const struct zk_cmd zk_cmd_config_init;
extern const struct zk_cmd zk_cmd_config_path;
extern const struct zk_cmd zk_cmd_config_show;
extern const struct zk_cmd zk_cmd_config_trust;
extern const struct zk_cmd zk_cmd_config_validate;
extern const struct zk_cmd zk_cmd_demo;
extern const struct zk_cmd zk_cmd_emit;
extern const struct zk_cmd zk_cmd_explain;
extern const struct zk_cmd zk_cmd_fake;
extern const struct zk_cmd zk_cmd_fake_zerobus;
extern const struct zk_cmd zk_cmd_health;
extern const struct zk_cmd zk_cmd_help;
extern const struct zk_cmd zk_cmd_jetstream;
extern const struct zk_cmd zk_cmd_jetstream_run;
extern const struct zk_cmd zk_cmd_jetstream_tail;
extern const struct zk_cmd zk_cmd_jetstream_query;
extern const struct zk_cmd zk_cmd_jetstream_cursor;
extern const struct zk_cmd zk_cmd_jetstream_cursor_show;
extern const struct zk_cmd zk_cmd_jetstream_cursor_set;
extern const struct zk_cmd zk_cmd_jetstream_cursor_convert;
extern const struct zk_cmd zk_cmd_zerobus;
extern const struct zk_cmd zk_cmd_zerobus_schema;
extern const struct zk_cmd zk_cmd_zerobus_decode;
extern const struct zk_cmd zk_cmd_procwire;
extern const struct zk_cmd zk_cmd_procwire_bench;
extern const struct zk_cmd zk_cmd_procwire_call;
extern const struct zk_cmd zk_cmd_procwire_check;
extern const struct zk_cmd zk_cmd_procwire_worker;
extern const struct zk_cmd zk_cmd_profile;
extern const struct zk_cmd zk_cmd_spool;
extern const struct zk_cmd zk_cmd_spool_drop;
extern const struct zk_cmd zk_cmd_spool_export;
extern const struct zk_cmd zk_cmd_spool_flush;
extern const struct zk_cmd zk_cmd_spool_list;
extern const struct zk_cmd zk_cmd_spool_show;
extern const struct zk_cmd zk_cmd_profile_list;
extern const struct zk_cmd zk_cmd_profile_show;
extern const struct zk_cmd zk_cmd_profile_use;
extern const struct zk_cmd zk_cmd_schema;
extern const struct zk_cmd zk_cmd_template;
extern const struct zk_cmd zk_cmd_template_bundle;
extern const struct zk_cmd zk_cmd_template_category;
extern const struct zk_cmd zk_cmd_template_delete;
extern const struct zk_cmd zk_cmd_template_diff;
extern const struct zk_cmd zk_cmd_template_export;
extern const struct zk_cmd zk_cmd_template_get;
extern const struct zk_cmd zk_cmd_template_lint;
extern const struct zk_cmd zk_cmd_template_list;
extern const struct zk_cmd zk_cmd_template_register;
extern const struct zk_cmd zk_cmd_trace;
extern const struct zk_cmd zk_cmd_trace_start;
extern const struct zk_cmd zk_cmd_trace_event;
extern const struct zk_cmd zk_cmd_trace_complete;
extern const struct zk_cmd zk_cmd_trace_push;
extern const struct zk_cmd zk_cmd_trace_exec;
extern const struct zk_cmd zk_cmd_trace_list;
extern const struct zk_cmd zk_cmd_trace_show;
extern const struct zk_cmd zk_cmd_trace_export;
extern const struct zk_cmd zk_cmd_trace_replay;
extern const struct zk_cmd zk_cmd_triggers;
extern const struct zk_cmd zk_cmd_triggers_ack;
extern const struct zk_cmd zk_cmd_triggers_check;
extern const struct zk_cmd zk_cmd_triggers_inbox;
extern const struct zk_cmd zk_cmd_triggers_keys;
extern const struct zk_cmd zk_cmd_triggers_keys_generate;
extern const struct zk_cmd zk_cmd_triggers_keys_rotate;
extern const struct zk_cmd zk_cmd_triggers_keys_show;
extern const struct zk_cmd zk_cmd_triggers_listen;
extern const struct zk_cmd zk_cmd_triggers_migrate;
extern const struct zk_cmd zk_cmd_triggers_replay;
extern const struct zk_cmd zk_cmd_triggers_send;
extern const struct zk_cmd zk_cmd_triggers_serve;
extern const struct zk_cmd zk_cmd_triggers_top;
extern const struct zk_cmd zk_cmd_triggers_verify;
extern const struct zk_cmd zk_cmd_triggers_webhook;
extern const struct zk_cmd zk_cmd_triggers_webhook_disable;
extern const struct zk_cmd zk_cmd_triggers_webhook_rotate_secret;
extern const struct zk_cmd zk_cmd_triggers_webhook_set;
extern const struct zk_cmd zk_cmd_triggers_webhook_show;
extern const struct zk_cmd zk_cmd_triggers_webhook_test;
extern const struct zk_cmd zk_cmd_version;
extern const struct zk_cmd zk_cmd_zerobus_send;
extern const struct zk_cmd zk_cmd_webhook;
extern const struct zk_cmd zk_cmd_webhook_delete;
extern const struct zk_cmd zk_cmd_webhook_list;
extern const struct zk_cmd zk_cmd_webhook_listen;
extern const struct zk_cmd zk_cmd_webhook_pause;
extern const struct zk_cmd zk_cmd_webhook_prune;
extern const struct zk_cmd zk_cmd_webhook_register;
extern const struct zk_cmd zk_cmd_webhook_replay;
extern const struct zk_cmd zk_cmd_webhook_resume;
extern const struct zk_cmd zk_cmd_webhook_send;
extern const struct zk_cmd zk_cmd_webhook_sign;
extern const struct zk_cmd zk_cmd_webhook_test;
extern const struct zk_cmd zk_cmd_webhook_update;
extern const struct zk_cmd zk_cmd_webhook_verify;

#endif
