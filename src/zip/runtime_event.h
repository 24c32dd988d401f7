/* What a runtime tells the server: an event in any of the forms people have it in, made into the
 * payload of `runtime.event`.
 * Layer: zip. Pure. specs/zeal-zip.md §7.4 [T 18]. */
#ifndef ZK_ZIP_RUNTIME_EVENT_H
#define ZK_ZIP_RUNTIME_EVENT_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the payload for the event `json`, an object with at least a type. Old names of types are
 * translated; `workflow` stands in for a workflowId that is missing, `now_us` for a timestamp;
 * members that the server takes from `data` are written both there and at the root, wherever they
 * stood. 0, or -ZK_E_JSON, -ZK_E_DATA for what the server would refuse: an unknown type, no
 * workflow, a timestamp that is none, U+0000. */
int zk_zip_runtime_event(zk_str json, zk_str workflow, int64_t now_us, struct zk_buf *b,
                         struct zk_error *err) ZK_MUST_USE;

#endif
