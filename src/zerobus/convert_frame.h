/* A scope of the converter: the row, a struct, a list or map that is being walked.
 * Layer: zerobus, internal. */
#ifndef ZK_ZEROBUS_CONVERT_FRAME_H
#define ZK_ZEROBUS_CONVERT_FRAME_H

#include "zerobus/convert.h"

struct zk_zb_frame {
	struct zk_arrow_cols cols;
	int64_t i, end;       /* the row, or element, of Arrow */
	struct zk_jiter it;   /* of JSON */
	size_t mark;          /* of the message that is open */
	size_t entry;         /* where the entry of a map began */
	bool any, any_before; /* JSON: something was written inside */
	bool in_entry, dropped;
};

#endif
