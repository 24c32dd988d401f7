/* The zstd dictionaries of the two wires (§5): a file, or fetched from a host and kept.
 * Layer: jetstream. */
#ifndef ZK_JETSTREAM_DICTIONARY_H
#define ZK_JETSTREAM_DICTIONARY_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

#define ZK_JET_DICTIONARY_1   1612007021u
#define ZK_JET_DICTIONARY_MAX (4u << 20)

struct zk_zdict;

/* The id at offset 4 of a dictionary; 0 when it is none. Pure. */
unsigned zk_jet_dictionary_id(zk_str bytes);
/* Reads a file. -ZK_E_CONFIG naming it when it is no dictionary, -ZK_E_LIBRARY. Blocks. */
int zk_jet_dictionary_load(const char *path, struct zk_zdict **ret,
                           struct zk_error *err) ZK_MUST_USE;
/* Keeps bytes in the folder under their id; failures are logged, nothing depends on it. */
void zk_jet_dictionary_keep(const char *dir, zk_str bytes);

#endif
