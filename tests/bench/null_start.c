/* The yardstick of `scripts/bench start`: links the libraries that zk links, calls one function
 * of each so that none is dropped, and exits.
 * Layer: tests. */
#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <uv.h>
#include <yaml.h>
#include <zlib.h>

#include "base/ban.h"

int main(void)
{
	int major = 0, minor = 0, patch = 0;

	yaml_get_version(&major, &minor, &patch);
	return uv_version() && sqlite3_libversion_number() && cJSON_Version() &&
	                       zlibVersion() && major + minor + patch > 0
	               ? 0
	               : 1;
}
