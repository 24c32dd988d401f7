/* The last include of every .c file: functions that this code base does not use.
 * Layer: base. No include guard on purpose beyond the one below: it only poisons names.
 *
 * Instead of them: zk_buf, zk_str and zk_parse_* (base/str.h), zk_rand_* (base/rand.h),
 * gmtime_r through base/clock.h. */
#ifndef ZK_BASE_BAN_H
#define ZK_BASE_BAN_H

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef atof
#undef gmtime
#undef localtime
#undef ctime
#undef asctime
#undef alloca
#undef strdupa
#undef strtol
#undef strtoul
#undef strtoll
#undef strtoull
#undef system
#undef wordexp

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets tmpnam mktemp
#pragma GCC poison strtok atoi atol atof gmtime localtime ctime asctime alloca strdupa
#pragma GCC poison strtol strtoul strtoll strtoull rand srand random system wordexp

#endif
