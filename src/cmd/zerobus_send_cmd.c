/* `zk zerobus send` and `zk zerobus replay`: their options and what help says.
 * Layer: cmd. specs/zerobus.md §2, §14.5. */
#include <stddef.h>

#include "cmd/cmds.h"
#include "cmd/zerobus_send.h"

#include "base/ban.h"

static const char *const formats[] = { "auto",  "ndjson",       "csv",
	                               "arrow", "arrow-stream", NULL };
static const char *const record_types[] = { "auto", "proto", "json", NULL };
static const char *const reject_drop[] = { "reject", "drop", NULL };
static const char *const times[] = { "error", "string", "micros", NULL };

/* clang-format off: one line per fact */
#define ROW(t, n, m, d, member, h)                         \
	.type = (t), .name = (n), .meta = (m), .def = (d), \
	.off = offsetof(struct zb_send_opts, member), .help = (h)

#define VALUE_ROWS                                                                       \
	{ ROW(ZK_OPT_ENUM, "record-type", NULL, "auto", record_type, "how rows travel"), \
	  .values = record_types, .group = "Rows and values" },                          \
	        { ROW(ZK_OPT_STR, "schema", "SOURCE", "auto", schema,                    \
		      "where column types come from: auto, input, table, FILE"),         \
		  .group = "Rows and values" },                                          \
	        { ROW(ZK_OPT_STR, "message", "NAME", NULL, message,                      \
		      "message of a descriptor file with several"),                      \
		  .group = "Rows and values" },                                          \
	        { ROW(ZK_OPT_BOOL, "all-optional", NULL, NULL, all_optional,             \
		      "every column optional in the descriptor"),                        \
		  .group = "Rows and values" },                                          \
	        { ROW(ZK_OPT_ENUM, "unknown-fields", NULL, "reject", unknown_fields,     \
		      "members that the schema does not have"),                          \
		  .values = reject_drop, .group = "Rows and values" },                   \
	        { ROW(ZK_OPT_BOOL, "coerce", NULL, NULL, coerce,                         \
		      "allow conversions between types"),                                \
		  .group = "Rows and values" },                                          \
	{                                                                                \
		ROW(ZK_OPT_ENUM, "null-elements", NULL, "reject", null_elements,         \
		    "null inside a list or map"),                                        \
		        .values = reject_drop, .group = "Rows and values"                \
	}

#define LIMIT_ROWS                                                                    \
	{ ROW(ZK_OPT_UINT, "batch-rows", "N", "1000", batch_rows,                     \
	      "rows in one request"),                                                 \
	  .min = 1, .max = 100000, .group = "Requests and limits" },                  \
	        { ROW(ZK_OPT_SIZE, "batch-bytes", "SIZE", "1MiB", batch_bytes,        \
		      "size of one request"),                                         \
		  .min = 1024, .max = 64 << 20, .group = "Requests and limits" },     \
	        { ROW(ZK_OPT_DURATION, "linger", "D", "100ms", linger_ms,             \
		      "longest wait for a request to fill up"),                       \
		  .max = 60000, .group = "Requests and limits" },                     \
	        { ROW(ZK_OPT_SIZE, "max-message", "SIZE", "10MiB", max_message,       \
		      "hard cap of one message"),                                     \
		  .min = 1024, .max = 64 << 20, .group = "Requests and limits" },     \
	        { ROW(ZK_OPT_UINT, "max-inflight", "N", "10000", max_inflight,        \
		      "unacknowledged requests per stream"),                          \
		  .min = 1, .max = 1000000, .group = "Requests and limits" },         \
	        { ROW(ZK_OPT_SIZE, "max-inflight-bytes", "SIZE", "64MiB",             \
		      max_inflight_bytes, "unacknowledged bytes of all streams"),     \
		  .min = 1024, .max = (int64_t)1 << 36,                               \
		  .group = "Requests and limits" },                                   \
	        { ROW(ZK_OPT_UINT, "streams", "N", "1", streams, "parallel streams"), \
		  .min = 1, .max = 32 },                                              \
	        { ROW(ZK_OPT_STR, "rate", "N/s", NULL, rate,                          \
		      "rows per second of all streams"),                              \
		  .group = "Requests and limits" },                                   \
	        { ROW(ZK_OPT_DURATION, "create-timeout", "D", "15s", create_ms,       \
		      "wait for a stream to be opened"),                              \
		  .min = 1, .max = 3600000, .group = "Requests and limits" },         \
	        { ROW(ZK_OPT_DURATION, "ack-timeout", "D", "60s", ack_ms,             \
		      "longest silence with rows unacknowledged"),                    \
		  .min = 1, .max = 86400000, .group = "Requests and limits" },        \
	        { ROW(ZK_OPT_DURATION, "flush-timeout", "D", "5m", flush_ms,          \
		      "from the end of input to the last ack"),                       \
		  .min = 1, .max = 86400000, .group = "Requests and limits" },        \
	        { ROW(ZK_OPT_BOOL, "isolate", NULL, "true", isolate,                  \
		      "find the rows that the service refuses"),                      \
		  .group = "Requests and limits" },                                   \
	{                                                                             \
		ROW(ZK_OPT_UINT, "max-errors", "N", "1000", max_errors,               \
		    "rejected rows that end the run; 0: no limit"),                   \
		        .max = INT64_MAX                                              \
	}

#define DEBUG_ROW(t, n, key, m, d, member, h) \
	ROW(t, n, m, d, member, h), .conf = "zerobus.debug." key, .group = "Debug files"
#define DEBUG_ROWS                                                                       \
	{ DEBUG_ROW(ZK_OPT_PATH, "debug-dir", "dir", "DIR", NULL, debug_dir,             \
		    "folder of the debug files"),                                        \
	  .complete = "dir" },                                                           \
	        { DEBUG_ROW(ZK_OPT_BOOL, "debug-arrow", "arrow", NULL, NULL,             \
		            debug_arrow, "keep the messages of Arrow inputs") },         \
	        { DEBUG_ROW(ZK_OPT_BOOL, "debug-proto", "proto", NULL, NULL,             \
		            debug_proto, "keep what is sent, and what reads it") },      \
	        { DEBUG_ROW(ZK_OPT_DURATION, "debug-flush", "flush", "D", "5s",          \
		            debug_flush_ms, "longest time before it is in the files"),   \
		  .min = 100, .max = 3600000 },                                          \
	        { DEBUG_ROW(ZK_OPT_SIZE, "debug-max-file", "max_file", "SIZE", "100MiB", \
		            debug_max_file,                                              \
		            "size at which a file is rotated; 0: never"),                \
		  .max = (int64_t)1 << 50 },                                             \
	{                                                                                \
		DEBUG_ROW(ZK_OPT_UINT, "debug-keep", "keep", "N", "10", debug_keep,      \
		          "rotated files that are kept; 0: all"),                        \
		        .max = 1000000                                                   \
	}

static const struct zk_opt send_rows[] = {
	ZB_ROWS,
	{ ROW(ZK_OPT_ENUM, "from", NULL, "auto", from, "format of the input"),
	  .values = formats },
	VALUE_ROWS,
	LIMIT_ROWS,
	{ ROW(ZK_OPT_ENUM, "time-as", NULL, "error", time_as,
	      "time-of-day, duration and interval columns"),
	  .values = times, .group = "Rows and values" },
	{ ROW(ZK_OPT_PATH, "resume", "FILE", NULL, resume,
	      "skip rows that the receipts in FILE prove"),
	  .flags = ZK_OPT_NO_CONF, .complete = "file" },
	{ ROW(ZK_OPT_STR, "csv-delimiter", "C", NULL, csv_delimiter,
	      "delimiter of CSV cells"),
	  .group = "Rows and values" },
	{ ROW(ZK_OPT_STR, "csv-null", "TEXT", NULL, csv_null,
	      "a further spelling of null in CSV"),
	  .group = "Rows and values" },
	{ ROW(ZK_OPT_SIZE, "arrow-max-body", "SIZE", "2GiB", arrow_max_body,
	      "largest body of an Arrow message"),
	  .min = 1024, .max = (int64_t)1 << 40, .group = "Rows and values" },
	DEBUG_ROWS,
	{ ROW(ZK_OPT_UINT, "trace-sample", "N", "100", trace_sample,
	      "a span for one request in N; failures always"),
	  .min = 1, .max = INT64_MAX, .group = "Requests and limits" },
	ZK_OPT_END,
};

static const struct zk_opt replay_rows[] = {
	ZB_ROWS,
	{ ROW(ZK_OPT_STR, "only-code", "ZKNNNN", NULL, only_code,
	      "only rows that were rejected with this code"),
	  .flags = ZK_OPT_NO_CONF },
	VALUE_ROWS,
	LIMIT_ROWS,
	ZK_OPT_END,
};
/* clang-format on */

static int send_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static char *only_stdin[] = { (char *)"-" };

	return argc ? zb_send(app, opts, argv, (size_t)argc, err)
	            : zb_send(app, opts, only_stdin, 1, err);
}

static int replay_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	return zb_replay(app, opts, argv, (size_t)argc, err);
}

const struct zk_cmd zk_cmd_zerobus_send = {
	.path = "zerobus send",
	.args = "[FILE...]",
	.max_args = ZK_ANY,
	.help = "stream rows into a table until each one is durable",
	.about = "Reads NDJSON, CSV or Arrow IPC and sends the rows to a Delta table "
	         "through "
	         "Zerobus. Each row ends acknowledged as durable, rejected with a "
	         "reason, or in "
	         "the spool; the exit status and the last line say which.\n\n"
	         "Delivery is at least once: what was sent but not acknowledged before a "
	         "connection broke is sent again. `resent` in the summary is the upper "
	         "bound of "
	         "what the table may hold twice.\n\n"
	         "Rows of stdin are not written down before they are sent: after kill "
	         "-9, what "
	         "was read but not acknowledged must come again from its source. "
	         "--durable "
	         "writes every row to the spool first. A rejects file holds user data.",
	.examples = "./export.sh | zk zerobus send -t main.default.air_quality\n"
	            "zk zerobus send -t main.default.events part-*.arrows --streams 4\n"
	            "zk zerobus send -t main.a.b x.ndjson --on-error skip --rejects "
	            "bad.ndjson",
	.args_help = "FILE    NDJSON, CSV or Arrow IPC, or '-' for stdin",
	.output = "nothing on stdout; a summary on stderr",
	.exits = "0 all acknowledged · 3 some rejected · 65 input · 69 refused · 75 "
	         "spooled · 77",
	.see = "man zk-zerobus · zk help spool",
	.groups = ZK_OPTS_HTTP | ZK_OPTS_RETRY | ZK_OPTS_SPOOL,
	.opts = send_rows,
	.opts_size = sizeof(struct zb_send_opts),
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = send_run,
};

const struct zk_cmd zk_cmd_zerobus_replay = {
	.path = "zerobus replay",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "send rows again that a rejects file or the spool kept",
	.about = "FILE is what `zk zerobus send --rejects` or `zk spool export` wrote. "
	         "Payloads go as they are, with the descriptor that stands in the file; "
	         "rows that never became a payload (`values`, `text`) are converted "
	         "anew, so "
	         "they may be mended with an editor first. The table is that of the file "
	         "unless -t names another.\n\n"
	         "The file is never changed. What is refused again goes to --rejects, "
	         "which "
	         "must be another file.",
	.examples =
	        "zk zerobus replay bad.ndjson --on-error skip --rejects still.ndjson\n"
	        "zk zerobus replay bad.ndjson --only-code ZK4120\n"
	        "zk spool export 'zerobus:*' > rows && zk zerobus replay rows",
	.args_help = "FILE    rejects file or exported spool; '-' for stdin needs -t",
	.output = "nothing on stdout; a summary on stderr",
	.exits = "0 all acknowledged · 3 some rejected · 65 input · 69 refused · 75 "
	         "spooled · 77",
	.see = "zk zerobus send · zk spool export · man zk-zerobus",
	.groups = ZK_OPTS_HTTP | ZK_OPTS_RETRY | ZK_OPTS_SPOOL,
	.opts = replay_rows,
	.opts_size = sizeof(struct zb_send_opts),
	.conf = "zerobus.send",
	.complete_arg = "file",
	.run = replay_run,
};
