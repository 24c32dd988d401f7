/* S3: signatures of the examples that AWS publishes, credentials, keys, answers.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/md5.h"
#include "codec/xml.h"
#include "jetstream/archive.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* "Signature Calculations for the Authorization Header", examples of the S3 API reference. */
static const struct {
	const char *method, *path, *query, *payload, *signature;
	struct zk_s3_header headers[6];
	size_t n;
} signs[] = {
	{ "GET",
	  "/test.txt",
	  "",
	  EMPTY,
	  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
	  { { "host", ZK_STR_INIT("examplebucket.s3.amazonaws.com") },
	    { "range", ZK_STR_INIT("bytes=0-9") },
	    { "x-amz-content-sha256", ZK_STR_INIT(EMPTY) },
	    { "x-amz-date", ZK_STR_INIT("20130524T000000Z") } },
	  4 },
	{ "PUT",
	  "/test%24file.text",
	  "",
	  "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
	  { { "date", ZK_STR_INIT("Fri, 24 May 2013 00:00:00 GMT") },
	    { "host", ZK_STR_INIT("examplebucket.s3.amazonaws.com") },
	    { "x-amz-content-sha256",
	      ZK_STR_INIT("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b0"
	                  "72") },
	    { "x-amz-date", ZK_STR_INIT("20130524T000000Z") },
	    { "x-amz-storage-class", ZK_STR_INIT("REDUCED_REDUNDANCY") } },
	  5 },
	{ "GET",
	  "/",
	  "lifecycle=",
	  EMPTY,
	  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
	  { { "host", ZK_STR_INIT("examplebucket.s3.amazonaws.com") },
	    { "x-amz-content-sha256", ZK_STR_INIT(EMPTY) },
	    { "x-amz-date", ZK_STR_INIT("20130524T000000Z") } },
	  3 },
	{ "GET",
	  "/",
	  "max-keys=2&prefix=J",
	  EMPTY,
	  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	  { { "host", ZK_STR_INIT("examplebucket.s3.amazonaws.com") },
	    { "x-amz-content-sha256", ZK_STR_INIT(EMPTY) },
	    { "x-amz-date", ZK_STR_INIT("20130524T000000Z") } },
	  3 },
};

Test(s3, signatures_of_aws)
{
	struct zk_s3_cred cred = {
		.id = (char *)"AKIAIOSFODNN7EXAMPLE",
		.secret = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(signs); i++) {
		struct zk_s3_sign s = { .method = signs[i].method,
			                .region = "us-east-1",
			                .path = zk_str_of(signs[i].path),
			                .query = zk_str_of(signs[i].query),
			                .headers = signs[i].headers,
			                .n_headers = signs[i].n,
			                .payload = zk_str_of(signs[i].payload),
			                .cred = &cred };
		struct zk_buf b;
		zk_str tail;

		zk_s3_time(INT64_C(1369353600000000), s.time);
		cr_expect_str_eq(s.time, "20130524T000000Z");
		zk_buf_init(&b, 4096);
		zk_s3_sign(&s, &b);
		tail = zk_str_from(zk_buf_str(&b), b.n - 64);
		cr_expect(zk_str_eq(tail, zk_str_of(signs[i].signature)), "case %zu: %s",
		          i, zk_buf_cstring(&b));
		cr_expect(zk_str_starts(zk_buf_str(&b),
		                        ZK_STR("AWS4-HMAC-SHA256 Credential="
		                               "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/"
		                               "s3/aws4_request,SignedHeaders=")));
		zk_buf_done(&b);
	}
}

Test(s3, credentials)
{
	static const struct {
		const char *text, *profile, *id, *secret, *token;
		bool good;
	} cases[] = {
		{ "AKIA:se/cret+\n", NULL, "AKIA", "se/cret+", NULL, true },
		{ "AKIA:secret:tok==", NULL, "AKIA", "secret", "tok==", true },
		{ "[default]\naws_access_key_id = A\r\naws_secret_access_key=b\n", NULL,
		  "A", "b", NULL, true },
		{ "# x\n[other]\naws_access_key_id=O\naws_secret_access_key=o\n"
		  "aws_session_token=t\n[default]\n",
		  "other", "O", "o", "t", true },
		{ "[default]\naws_access_key_id = A\n", NULL, NULL, NULL, NULL, false },
		{ "[default]\naws_access_key_id=A\naws_secret_access_key=b\n", "nope",
		  NULL, NULL, NULL, false },
		{ "AKIA", NULL, NULL, NULL, NULL, false },
		{ "", NULL, NULL, NULL, NULL, false },
		{ "a b:c", NULL, NULL, NULL, NULL, false },
		{ "a/b:c", NULL, NULL, NULL, NULL, false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_s3_cred c;
		struct zk_error err = { 0 };
		int r = zk_s3_cred_parse(zk_str_of(cases[i].text), cases[i].profile, &c,
		                         &err);

		cr_assert_eq(r == 0, cases[i].good, "case %zu: %s", i, err.msg);
		if (r == 0) {
			cr_expect_str_eq(c.id, cases[i].id, "case %zu", i);
			cr_expect_str_eq(c.secret, cases[i].secret, "case %zu", i);
			cr_expect_eq(c.token != NULL, cases[i].token != NULL);
		} else {
			cr_expect_eq(err.code, ZK_E_SECRET);
		}
		zk_s3_cred_done(&c);
	}
}

Test(s3, paths_are_encoded_but_for_slashes)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_s3_put_path(&b, ZK_STR("/a b/=~_-./\xc3\xa4+%"));
	cr_expect_str_eq(zk_buf_cstring(&b), "/a%20b/%3D~_-./%C3%A4%2B%25");
	zk_buf_done(&b);
}

Test(s3, keys)
{
	static const struct {
		const char *key;
		bool good;
	} cases[] = {
		{ "a", true },     { "a/b.db.zst", true }, { "dt=2026-01-01/a", true },
		{ "", false },     { "/a", false },        { "a/", false },
		{ "a//b", false }, { "a/../b", false },    { "./a", false },
		{ "a\nb", false }, { "\xff", false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_s3_key_ok(zk_str_of(cases[i].key)), cases[i].good, "%zu",
		             i);
}

Test(s3, keys_of_the_archive)
{
	static const struct {
		const char *prefix, *shard, *key;
	} cases[] = {
		{ "", NULL, "f.db.zst" },
		{ NULL, "1/4", "f.db.zst" },
		{ "raw/%Y/%m/%d/%H/", NULL, "raw/2026/01/01/00/f.db.zst" },
		{ "s{shard}/%j-", "3/4", "s3/001-f.db.zst" },
		{ "{shard}{shard}/", NULL, "00/f.db.zst" },
		{ "%", NULL, NULL },
		{ "%n", NULL, NULL },
		{ "/x", NULL, NULL },
		{ "../", NULL, NULL },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_buf b;
		int r;

		zk_buf_init(&b, 4096);
		r = zk_jet_archive_key(cases[i].prefix, cases[i].shard,
		                       INT64_C(1767225600001617), "f.db.zst", &b, &err);
		cr_expect_eq(r == 0, cases[i].key != NULL, "case %zu", i);
		if (r == 0 && cases[i].key)
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].key);
		zk_buf_done(&b);
	}
	cr_expect_str_eq(zk_jet_archive_type("a.db.zip"), "application/zip");
	cr_expect_str_eq(zk_jet_archive_type("a.db"), "application/vnd.sqlite3");
	cr_expect(zk_str_eq(zk_jet_archive_stem("raw/%Y"), ZK_STR("raw/")));
	cr_expect(zk_str_eq(zk_jet_archive_stem("a{shard}%Y"), ZK_STR("a")));
}

static void on_key(void *ctx, zk_str key, uint64_t bytes)
{
	zk_buf_printf(ctx, "%.*s=%llu ", ZK_STR_ARG(key), (unsigned long long)bytes);
}

Test(s3, answers)
{
	static const char page[] =
	        "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Name>b</Name>"
	        "<EncodingType>url</EncodingType>"
	        "<NextContinuationToken>a&amp;b</NextContinuationToken>"
	        "<Contents><Key>a%2Fb+c</Key><Size>12</Size><Owner><ID>i</ID></Owner>"
	        "</Contents><CommonPrefixes><Prefix>p</Prefix></CommonPrefixes>"
	        "<Contents><Size>0</Size><Key>z</Key></Contents></ListBucketResult>";
	struct zk_error err = { 0 };
	struct zk_buf keys, next, code, text;

	zk_buf_init(&keys, 4096);
	zk_buf_init(&next, 4096);
	zk_buf_init(&code, 4096);
	zk_buf_init(&text, 4096);
	cr_assert_eq(zk_s3_page_parse(ZK_STR(page), on_key, &keys, &next, &err), 0, "%s",
	             err.msg);
	cr_expect_str_eq(zk_buf_cstring(&keys), "a/b c=12 z=0 ");
	cr_expect_str_eq(zk_buf_cstring(&next), "a&b");
	for (size_t n = 0; n < sizeof(page) - 1; n++) {
		zk_buf_clear(&keys);
		cr_expect_eq(
		        zk_s3_page_parse(zk_str_n(page, n), on_key, &keys, &next, &err),
		        -ZK_E_PROTOCOL, "cut at %zu", n);
	}
	cr_expect(zk_s3_error_parse(
	        ZK_STR("<Error><Code>SlowDown</Code><Message>a &lt; b</Message></Error>"),
	        &code, &text));
	cr_expect_str_eq(zk_buf_cstring(&code), "SlowDown");
	cr_expect_str_eq(zk_buf_cstring(&text), "a < b");
	zk_buf_clear(&code);
	cr_expect_not(zk_s3_error_parse(ZK_STR("<html>no"), &code, &text));
	zk_buf_done(&keys);
	zk_buf_done(&next);
	zk_buf_done(&code);
	zk_buf_done(&text);
}

Test(md5, vectors_of_rfc_1321)
{
	static const struct {
		zk_str in;
		const char *hex;
	} cases[] = {
		{ ZK_STR_INIT(""), "d41d8cd98f00b204e9800998ecf8427e" },
		{ ZK_STR_INIT("abc"), "900150983cd24fb0d6963f7d28e17f72" },
		{ ZK_STR_INIT("abcdefghijklmnopqrstuvwxyz"),
		  "c3fcd3d76192e4007dfb496cca67e13b" },
		{ ZK_STR_INIT("123456789012345678901234567890123456789012345678901234567"
		              "89012345678901234567890"),
		  "57edf4a22be3c955ac49da2e2107b67a" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		for (size_t cut = 0; cut <= cases[i].in.n; cut++) {
			uint8_t out[ZK_MD5_SIZE];
			struct zk_md5 m;
			struct zk_buf b;

			zk_md5_init(&m);
			zk_md5_put(&m, cases[i].in.p, cut);
			zk_md5_put(&m, cases[i].in.p + cut, cases[i].in.n - cut);
			zk_md5_end(&m, out);
			zk_buf_init(&b, 64);
			zk_hex_encode(zk_str_n((const char *)out, sizeof(out)), &b);
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].hex);
			zk_buf_done(&b);
		}
	}
}

Test(xml, what_is_well_formed_and_what_is_not)
{
	static const struct {
		const char *doc;
		const char *text; /* of a/b; NULL = none */
		bool good;
	} cases[] = {
		{ "<a><b>x</b></a>", "x", true },
		{ "<?xml version='1.0'?><!-- c --><a k=\"v\"><b/></a>\n", "", true },
		{ "<n:a><n:b>1</n:b><b>2</b></n:a>", "1", true },
		{ "<a><b><![CDATA[<&>]]>&#x41;&#66;</b></a>", "<&>AB", true },
		{ "<a><c><b>no</b></c><b>yes</b></a>", "yes", true },
		{ "<a><b>x<c>y</c>z</b></a>", "xz", true },
		{ "<a><b>&nope;</b></a>", NULL, true },
		{ "<a><b>&#0;</b></a>", NULL, true },
		{ "<a><b>&#xd800;</b></a>", NULL, true },
		{ "<a><b>x</c></a>", NULL, false },
		{ "<a><b>x", NULL, false },
		{ "<a></a><a></a>", NULL, false },
		{ "x<a></a>", NULL, false },
		{ "<!DOCTYPE a [<!ENTITY x 'y'>]><a><b>&x;</b></a>", NULL, false },
		{ "<a b></a>", NULL, false },
		{ "<a b=\"<\"/>", NULL, false },
		{ "", NULL, false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_xml x;
		enum zk_xml_event e;
		struct zk_buf b;

		zk_xml_init(&x, zk_str_of(cases[i].doc));
		while ((e = zk_xml_next(&x)) != ZK_XML_END && e != ZK_XML_BAD)
			;
		cr_expect_eq(e == ZK_XML_END, cases[i].good, "%s", cases[i].doc);
		zk_buf_init(&b, 4096);
		cr_expect_eq(zk_xml_get(zk_str_of(cases[i].doc), ZK_STR("a/b"), &b),
		             cases[i].text != NULL, "%s", cases[i].doc);
		if (cases[i].text)
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].text);
		zk_buf_done(&b);
	}
}
