/* `zk zerobus decode`.
 * Layer: cmd. specs/zerobus.md §15, §16.2. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cmd.h"
#include "cmd/cmds.h"
#include "codec/pb.h"
#include "rt/out.h"
#include "zerobus/decode.h"
#include "zerobus/descriptor.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define CHUNK_BYTES   ((size_t)256 << 10)
#define PAYLOAD_MAX   ((size_t)64 << 20)
#define FRAMED_PREFIX 5

struct decode_opts {
	const char *schema;
	const char *message;
	bool framed;
};

static const struct zk_opt decode_rows[] = {
	{ .type = ZK_OPT_PATH,
	  .name = "schema",
	  .meta = "FILE",
	  .off = offsetof(struct decode_opts, schema),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "descriptor, Arrow file or table document of the payloads",
	  .text = "Without it FILE.binpb is read with FILE.pb beside it, where that "
	          "exists." },
	{ .type = ZK_OPT_STR,
	  .name = "message",
	  .meta = "NAME",
	  .off = offsetof(struct decode_opts, message),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "which message of a descriptor with several" },
	{ .type = ZK_OPT_BOOL,
	  .name = "framed",
	  .off = offsetof(struct decode_opts, framed),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "the input is gRPC messages of a stream, in either direction" },
	ZK_OPT_END,
};

static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM, .open = true };

struct decoding {
	const struct decode_opts *o;
	struct zk_out *out;
	struct zk_zb_schema *schema; /* of --schema, or beside the file */
	struct zk_buf in, row;
	uint64_t count, offset;
	const char *name;
};

static int print_row(struct decoding *d, struct zk_error *err)
{
	if (zk_buf_check(&d->row, err) < 0)
		return -(int)err->code;
	return zk_out_row(d->out, zk_buf_str(&d->row), err);
}

static int at_byte(const struct decoding *d, struct zk_error *err)
{
	(void)zk_err_where(err, "%s: message %llu (byte %llu)", d->name,
	                   (unsigned long long)d->count, (unsigned long long)d->offset);
	return -(int)err->code;
}

/* Cuts the next message off: 1 and its bytes behind a prefix of *skip bytes, 0 = more is needed,
 * or a negative code. */
static int cut(const struct decoding *d, zk_str s, size_t *skip, size_t *n,
               struct zk_error *err)
{
	uint64_t len;
	int r;

	if (d->o->framed) {
		const unsigned char *p = (const unsigned char *)s.p;

		if (s.n < FRAMED_PREFIX)
			return 0;
		if (p[0] != 0)
			return zk_fail(err, ZK_E_DATA, "a message with the flag %u",
			               p[0]);
		len = (uint64_t)p[1] << 24 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 8 |
		      p[4];
		*skip = FRAMED_PREFIX;
	} else {
		zk_str rest = s;

		r = zk_pb_take_varint(&rest, &len);
		if (r < 0)
			return zk_fail(err, ZK_E_DATA, "a length of more than 64 bits");
		if (r == 0)
			return 0;
		*skip = s.n - rest.n;
	}
	if (len > PAYLOAD_MAX)
		return zk_fail(err, ZK_E_DATA,
		               "a message of %llu bytes: is this a file of payloads?",
		               (unsigned long long)len);
	*n = (size_t)len;
	return s.n - *skip >= len;
}

/* Prints one message; 1, 0 when it is not complete, or a negative code. */
static int decode_one(struct decoding *d, struct zk_zb_framed *framed, zk_str *s,
                      struct zk_error *err)
{
	size_t skip = 0, n = 0;
	int r = cut(d, *s, &skip, &n, err);
	zk_str body;

	if (r <= 0)
		return r < 0 ? at_byte(d, err) : 0;
	body = zk_str_n(s->p + skip, n);
	zk_buf_clear(&d->row);
	r = framed ? zk_zb_framed_message(framed, body, &d->row, err)
	           : zk_zb_decode_row(d->schema, body, false, &d->row, err);
	if (r < 0)
		return at_byte(d, err);
	d->count++;
	d->offset += skip + n;
	*s = zk_str_from(*s, skip + n);
	r = print_row(d, err);
	return r < 0 ? r : 1;
}

/* Prints all messages that are complete. */
static int drain(struct decoding *d, struct zk_zb_framed *framed, struct zk_error *err)
{
	zk_str rest = zk_buf_str(&d->in);
	int r;

	do
		r = decode_one(d, framed, &rest, err);
	while (r > 0);
	zk_buf_consume(&d->in, d->in.n - rest.n);
	return r;
}

static int decode_stream(struct decoding *d, struct zk_zb_source *s, struct zk_error *err)
{
	struct zk_zb_framed *framed = d->o->framed ? zk_zb_framed_new(d->schema) : NULL;
	int r = 0;

	while (r == 0 && !zk_out_closed(d->out)) {
		char *p = zk_buf_reserve(&d->in, CHUNK_BYTES);
		ptrdiff_t n;

		ZK_ASSERT(p); /* a message is smaller than the buffer */
		n = s->read(s, p, CHUNK_BYTES, err);
		if (n < 0)
			r = (int)n;
		if (n <= 0)
			break;
		d->in.n += (size_t)n;
		r = drain(d, framed, err);
	}
	zk_zb_framed_free(framed);
	if (r == 0 && d->in.n && !zk_out_closed(d->out)) {
		(void)zk_fail(err, ZK_E_DATA, "the file ends within a message");
		r = at_byte(d, err);
	}
	return r;
}

/* ---- descriptors ---- */

static void put_field(struct decoding *d, const struct zk_zb_message *m,
                      const struct zk_zb_field *f)
{
	struct zk_jwrite w;

	zk_buf_clear(&d->row);
	zk_jwrite_init(&w, &d->row);
	zk_jw_obj(&w);
	zk_jw_key(&w, "message");
	zk_jw_str(&w, m->full);
	zk_jw_key(&w, "field");
	zk_jw_str(&w, f->name);
	zk_jw_key(&w, "number");
	zk_jw_u64(&w, f->number);
	zk_jw_key(&w, "label");
	zk_jw_cstr(&w, f->list || f->map ? "repeated"
	               : f->required     ? "required"
	                                 : "optional");
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, zk_pb_type_name(f->pb_type));
	if (f->message != ZK_ZB_NONE) {
		zk_jw_key(&w, "type_name");
		zk_jw_str(&w, d->schema->messages[f->message].full);
	}
	zk_jw_obj_end(&w);
}

static int decode_descriptor(struct decoding *d, zk_str bytes, struct zk_error *err)
{
	struct zk_zb_schema_conf conf = { .message = d->o->message ? d->o->message : "" };
	int r = zk_zb_schema_of_descriptor(bytes, &conf, &d->schema, err);

	for (uint32_t m = 0; r == 0 && m < d->schema->n_messages; m++) {
		const struct zk_zb_message *msg = &d->schema->messages[m];

		for (uint32_t i = 0; r == 0 && i < msg->n_fields; i++) {
			put_field(d, msg, &d->schema->fields[msg->first_field + i]);
			r = print_row(d, err);
		}
	}
	return r;
}

/* ---- schemas ---- */

static int open_schema(struct decoding *d, const char *path, struct zk_error *err)
{
	struct zk_zb_fd_source_conf in = { .path = path };
	struct zk_zb_schema_conf conf = { .message = d->o->message ? d->o->message : "" };
	struct zk_zb_source *s;
	int r;

	if (zk_zb_fd_source_open(&in, &s, err) < 0)
		return -(int)err->code;
	r = zk_zb_schema_of_source(s, &conf, &d->schema, err);
	zk_zb_fd_source_close(s);
	return r;
}

/* FILE.pb beside FILE.binpb. */
static int schema_beside(struct decoding *d, const char *path, struct zk_error *err)
{
	zk_str name = zk_str_of(path);
	char *beside;
	int r = 0;

	if (d->o->framed || !zk_str_ends(name, ZK_STR(".binpb")))
		return 0;
	beside = zk_asprintf("%.*s.pb", (int)(name.n - strlen(".binpb")), path);
	if (access(beside, R_OK) == 0)
		r = open_schema(d, beside, err);
	free(beside);
	return r;
}

/* Whether the file is a descriptor itself, by its name and its bytes. */
static int try_descriptor(struct decoding *d, const char *path, bool *is,
                          struct zk_error *err)
{
	struct zk_zb_fd_source_conf in = { .path = path };
	struct zk_zb_source *s;
	struct zk_buf b;
	ptrdiff_t n = 1;
	int r = 0;

	*is = false;
	if (d->o->framed || d->o->schema || !zk_str_ends(zk_str_of(path), ZK_STR(".pb")))
		return 0;
	if (zk_zb_fd_source_open(&in, &s, err) < 0)
		return -(int)err->code;
	zk_buf_init(&b, PAYLOAD_MAX);
	while (n > 0) {
		char *p = zk_buf_reserve(&b, CHUNK_BYTES);

		n = p ? s->read(s, p, CHUNK_BYTES, err) : 0;
		b.n += n > 0 ? (size_t)n : 0;
	}
	*is = b.n && zk_zb_is_descriptor(zk_buf_str(&b));
	if (*is)
		r = decode_descriptor(d, zk_buf_str(&b), err);
	zk_buf_done(&b);
	zk_zb_fd_source_close(s);
	return r;
}

static int decode_file(struct decoding *d, const char *path, struct zk_error *err)
{
	struct zk_zb_fd_source_conf in = { .path = path };
	struct zk_zb_source *s;
	bool done = false;
	int r;

	d->count = d->offset = 0;
	d->in.n = 0;
	zk_zb_schema_free(d->schema);
	d->schema = NULL;
	r = try_descriptor(d, path, &done, err);
	if (r < 0 || done)
		return r;
	r = d->o->schema ? open_schema(d, d->o->schema, err)
	                 : schema_beside(d, path, err);
	if (r < 0)
		return r;
	if (zk_zb_fd_source_open(&in, &s, err) < 0)
		return -(int)err->code;
	d->name = s->name;
	r = decode_stream(d, s, err);
	zk_zb_fd_source_close(s);
	return r;
}

static int decode_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	static char dash[] = "-";
	char *stdin_only[] = { dash };
	struct decoding d = { .o = opts, .out = zk_app_out(app, err) };
	int r;

	if (argc == 0) {
		argv = stdin_only;
		argc = 1;
	}
	if (!d.out || zk_out_begin(d.out, &shape, err) < 0)
		return -(int)err->code;
	zk_buf_init(&d.in, PAYLOAD_MAX + 2 * CHUNK_BYTES);
	zk_buf_init(&d.row, (size_t)512 << 20);
	r = 0;
	for (int i = 0; r == 0 && i < argc; i++)
		r = decode_file(&d, argv[i], err);
	zk_zb_schema_free(d.schema);
	zk_buf_done(&d.in);
	zk_buf_done(&d.row);
	/* What was read before a failure is printed. */
	if (r < 0) {
		struct zk_error other = { 0 };

		ZK_IGNORE(zk_out_end(d.out, &other)); /* the first failure counts */
		return r;
	}
	return zk_out_end(d.out, err);
}

const struct zk_cmd zk_cmd_zerobus_decode = {
	.path = "zerobus decode",
	.args = "[FILE...]",
	.max_args = ZK_ANY,
	.help = "print protobuf debug files and descriptors as NDJSON",
	.about = "Reads payloads that have their length in front, as `zk zerobus send "
	         "--debug-proto` "
	         "writes them; with --framed the messages of a stream; and files called "
	         ".pb, which "
	         "hold a descriptor, field by field. Fields that the schema does not "
	         "have are named "
	         "\"?N\" after their number.",
	.examples = "zk zerobus decode debug/zerobus/proto/main.default.air.binpb\n"
	            "zk zerobus decode rows.binpb --schema part-0.arrows --jq .device\n"
	            "zk zerobus decode --framed < stream.bin",
	.args_help = "FILE    payloads, or a descriptor; \"-\" or nothing is stdin",
	.output = "one object per payload, message or field",
	.exits = "0 · 65 not valid protobuf, or cut short · 66",
	.see = "zk zerobus schema · man zk-zerobus",
	.groups = ZK_OPTS_OUTPUT,
	.opts = decode_rows,
	.opts_size = sizeof(struct decode_opts),
	.flags = ZK_CMD_READS_INPUT | ZK_CMD_READER,
	.complete_arg = "file",
	.run = decode_run,
};
