/* How large a POSIX extended regular expression becomes: regcomp() copies what is repeated, each
 * time again for a repetition of a repetition, so that 40 bytes can ask for all memory and hours.
 * Layer: codec. Pure. */
#ifndef ZK_CODEC_ERE_H
#define ZK_CODEC_ERE_H

#include <stdbool.h>

#include "base/str.h"

/* Groups in groups. */
#define ZK_ERE_DEPTH_MAX 32
/* Single characters, classes and groups after all repetitions were written out. */
#define ZK_ERE_SIZE_MAX 1000
/* Repetitions of repetitions: each multiplies the time by ten and more. */
#define ZK_ERE_REPEAT_MAX 3

/* False for what would pass these bounds. What is no expression at all may pass: it is regcomp()
 * that refuses it. */
bool zk_ere_fits(zk_str text);

#endif
