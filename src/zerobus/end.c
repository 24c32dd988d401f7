/* What the end of a call means: ZK codes, exit statuses, words.
 * Layer: zerobus. specs/zerobus.md §6.3, §9. */
#include <string.h>

#include "zerobus/stream.h"

#include "base/ban.h"

static enum zk_code code_of_status(int status, bool created)
{
	switch (status) {
	case ZK_GRPC_INVALID_ARGUMENT:
	case ZK_GRPC_OUT_OF_RANGE:
		return created ? ZK_E_ZB_ROW_REFUSED : ZK_E_ZB_CREATE;
	case ZK_GRPC_NOT_FOUND:
		return ZK_E_ZB_NO_TABLE;
	case ZK_GRPC_PERMISSION_DENIED:
		return ZK_E_ZB_GRANT;
	case ZK_GRPC_UNIMPLEMENTED:
		return ZK_E_ZB_METHOD;
	case ZK_GRPC_UNAUTHENTICATED:
		return ZK_E_ZB_TOKEN;
	default:
		return ZK_E_ZB_STREAM;
	}
}

/* The connection's own words, under the codes of this service. */
static enum zk_code code_of_conn(const struct zk_error *e)
{
	switch ((int)e->code) {
	case ZK_E_HTTP2:
		return ZK_E_ZB_HTTP2;
	case ZK_E_TLS:
		return ZK_E_ZB_CERTIFICATE;
	case ZK_E_PROTOCOL:
		return ZK_E_ZB_HTTP2_FAULT;
	case ZK_E_AUTH: /* HTTP 407 */
		return ZK_E_ZB_PROXY;
	case ZK_E_HTTP:
		return ZK_E_ZB_PROXY_REFUSED;
	case ZK_E_CONNECT:
	case ZK_E_TRANSFER:
		return ZK_E_ZB_CONNECT;
	default:
		return e->code;
	}
}

static void add_grants(zk_str table, struct zk_error *err)
{
	zk_str cat, schema, name = zk_str_cut(table, '.', &cat);

	name = zk_str_cut(name, '.', &schema);
	(void)zk_err_hint(
	        err,
	        "GRANT USE CATALOG ON CATALOG `%.*s`, USE SCHEMA ON SCHEMA "
	        "`%.*s`.`%.*s`, and MODIFY, SELECT ON TABLE `%.*s`.`%.*s`.`%.*s` "
	        "TO the client",
	        ZK_STR_ARG(cat), ZK_STR_ARG(cat), ZK_STR_ARG(schema), ZK_STR_ARG(cat),
	        ZK_STR_ARG(schema), ZK_STR_ARG(name));
}

int zk_zb_end_to_error(const struct zk_grpc_end *end, bool created, zk_str table,
                       struct zk_error *err)
{
	if (end->from == ZK_GRPC_FROM_US) {
		*err = end->err;
		err->code = ZK_E_ZB_PROTOCOL;
		return zk_wrap(err, "the service broke the protocol");
	}
	if (end->from == ZK_GRPC_FROM_CONN) {
		*err = end->err;
		err->code = code_of_conn(&end->err);
		return -(int)err->code;
	}
	(void)zk_fail(err,
	              end->is_proxy_auth ? ZK_E_ZB_PROXY
	              : end->retryable   ? ZK_E_ZB_STREAM
	              : end->reset_code  ? ZK_E_ZB_METHOD
	                                 : code_of_status(end->code, created),
	              "%s '%.*s': %s%s%s",
	              created ? "the service ended the stream to table"
	                      : "the service did not open a stream to table",
	              ZK_STR_ARG(table), zk_grpc_code_name(end->code),
	              end->message[0] ? ": " : "", end->message);
	err->retryable = end->retryable;
	err->http_status = end->from == ZK_GRPC_FROM_HTTP ? end->http_status : 0;
	if (err->code == ZK_E_ZB_GRANT)
		add_grants(table, err);
	return -(int)err->code;
}
