/* hydrated_metadata with the names of the Rust version (§13).
 * Layer: jetstream, private to record*.c. */
#ifndef ZK_JETSTREAM_RECORD_RUST_H
#define ZK_JETSTREAM_RECORD_RUST_H

struct zk_buf;
struct zk_jet_item;

void zk_jet_rust_metadata(const struct zk_jet_item *i, struct zk_buf *b);

#endif
