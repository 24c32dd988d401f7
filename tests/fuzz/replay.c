/* main() for a fuzz target without libFuzzer: feeds every file of the corpus directories
 * given as arguments, and the empty input, to the target; one TAP line per file. Layer:
 * tests. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* Feeds one file. The copy has exactly the size of the input, so that a read beyond it is
 * seen by ASan. Returns 0, or -1 when the file cannot be read. */
static int feed(const char *path)
{
	FILE *f = fopen(path, "rbe");
	if (!f)
		return -1;

	uint8_t *data = NULL;
	long size = -1;
	if (fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	if (size >= 0 && fseek(f, 0, SEEK_SET) == 0)
		data = malloc((size_t)size + !size);
	int r = data && fread(data, 1, (size_t)size, f) == (size_t)size ? 0 : -1;
	(void)fclose(f);
	if (r == 0) {
		uint8_t *exact = malloc((size_t)size);
		if (exact && size > 0)
			memcpy(exact, data, (size_t)size);
		LLVMFuzzerTestOneInput(exact, exact ? (size_t)size : 0);
		free(exact);
	}
	free(data);
	return r;
}

static int is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Feeds the files of one directory in the order of their names; adds their number to *n.
 * Returns how many failed. */
static int feed_dir(const char *dir, int *n)
{
	struct dirent **names = NULL;
	int count = scandir(dir, &names, is_seed, alphasort);
	int failed = 0;

	if (count < 0)
		fprintf(stderr, "# %s: %s\n", dir, strerror(errno));
	for (int i = 0; i < count; i++) {
		char path[4096];
		int len = snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		int bad = len < 0 || (size_t)len >= sizeof(path) || feed(path) < 0;

		printf("%sok %d - %s\n", bad ? "not " : "", ++*n, names[i]->d_name);
		(void)fflush(stdout);
		failed += bad;
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	int n = 0;
	int failed = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		failed += feed_dir(argv[i], &n);
	if (n == 0) {
		printf("Bail out! no seeds: a fuzz target needs "
		       "tests/fuzz/corpus/<name>/\n");
		return 1;
	}
	LLVMFuzzerTestOneInput(NULL, 0);
	printf("ok %d - empty input\n1..%d\n", n + 1, n + 1);
	return failed ? 1 : 0;
}
