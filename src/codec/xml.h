/* xml: reading small XML documents of services (S3's answers), element by element, without a tree.
 * Layer: codec. Pure; any thread; slices borrow the document.
 *
 * Well-formed UTF-8 documents without a document type; the declaration, comments and processing
 * instructions are passed over, CDATA is text, attributes are checked and passed over, prefixes of
 * names are cut off. Depth at most ZK_XML_DEPTH. */
#ifndef ZK_CODEC_XML_H
#define ZK_CODEC_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf;

#define ZK_XML_DEPTH 32

enum zk_xml_event {
	ZK_XML_OPEN,  /* `name` */
	ZK_XML_TEXT,  /* `text`, as it stands there: zk_xml_text decodes it */
	ZK_XML_CLOSE, /* `name` */
	ZK_XML_END,   /* of the document, which was well-formed */
	ZK_XML_BAD,   /* it is not; from then on */
};

struct zk_xml {
	zk_str rest;
	zk_str open[ZK_XML_DEPTH]; /* full names */
	size_t depth;
	bool bad, root, empty; /* empty: "<a/>" has still to be closed */
	/* Of the last event: */
	zk_str name, text;
	bool cdata; /* the text has no entities */
};

void zk_xml_init(struct zk_xml *x, zk_str doc);
enum zk_xml_event zk_xml_next(struct zk_xml *x);
/* Appends the text of the last event; false, and `b` as before, for an entity that is none of the
 * five, a number that is no character, or a full `b`. */
bool zk_xml_text(const struct zk_xml *x, struct zk_buf *b);
/* Reads on to the end of the element that was just opened and appends the text in it, that of its
 * own children not; false when the document is bad. */
bool zk_xml_inner(struct zk_xml *x, struct zk_buf *b);
/* Appends the text of the first element whose path from the root is `path` ("Error/Code"); false
 * when there is none, or the document is bad up to there. */
bool zk_xml_get(zk_str doc, zk_str path, struct zk_buf *b);

#endif
