/* zk:webhook.verify: whether the body of a delivery was signed with our secret.
 * Layer: cmd. specs/cli.md §Procwire, specs/zeal-zip.md §8.4. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/procwire_verbs.h"
#include "codec/msgpack.h"
#include "zip/delivery.h"

#include "base/ban.h"

struct verb {
	struct zk_hmac_key key;
};

/* {body: bytes or text, signature: text}; the answer is a boolean. */
static enum zk_pw_then verify_request(struct zk_pw_req *req, zk_str payload)
{
	const struct verb *v = zk_pw_method_of(req)->conf;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };
	zk_str raw, body, signature;

	zk_buf_init(&b, 16);
	if (!zk_mp_get(payload, ZK_STR("body"), &raw) || !zk_mp_bytes(raw, &body) ||
	    !zk_mp_get_str(payload, ZK_STR("signature"), &signature))
		return zk_pw_fail_text(
		        req, "webhook.verify takes {body, signature}: the bytes "
		             "as they came, and the header X-Zeal-Signature");
	zk_mp_bool(&b, zk_zip_signature_ok(&v->key, signature, body));
	if (procwire_answer(req, zk_buf_str(&b), &err) < 0)
		return zk_pw_fail(req, &err);
	return ZK_PW_THEN_DONE;
}

const struct zk_pw_handler procwire_webhook_verify = { .name = "zk:webhook.verify",
	                                               .request = verify_request };

static void verb_free(void *conf)
{
	struct verb *v = conf;

	zk_hmac_key_done(&v->key);
	free(v);
}

int procwire_webhook_verify_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                 const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	const struct procwire_remotes *remotes;

	(void)procwire_app(env, &remotes);
	(void)spec;
	m->conf = v;
	m->free_conf = verb_free;
	zk_buf_init_secret(&text, ZK_SECRET_MAX + 1);
	if (m->kind == ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE, "webhook.verify is no stream");
	if (zk_secret_load(&remotes->webhook_secret, &text, err) < 0)
		return zk_wrap(err, "zk:webhook.verify");
	if (!text.n)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "zk:webhook.verify needs --webhook-secret-file");
	zk_hmac_key_init(&v->key, zk_buf_str(&text));
	return 0;
}
