/* The entry point; everything else is in the library.
 * Layer: main. */
#include "cli/main.h"
#include "cmd/cmds.h"

#include "base/ban.h"

int main(int argc, char **argv)
{
	return zk_main(argc, argv, zk_cmds);
}
