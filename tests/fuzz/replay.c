/* replay.c - runs a fuzz target over every file of the directories named: the corpus as a regression test, without libFuzzer. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>

#include "base/fdio.h"

#define SEED_MAX_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		struct err e = ERR_NONE;
		own(buf) struct buf b;

		buf_init(&b, SEED_MAX_BYTES);
		if (de->d_name[0] == '.')
			continue;
		if (fdio_slurp(dirfd(d), de->d_name, &b, &e) < 0) {
			fprintf(stderr, "%s/%s: %s\n", dir, de->d_name, e.msg);
			exit(1);
		}
		LLVMFuzzerTestOneInput((const uint8_t *)b.data, b.len);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("%d inputs replayed\n", n);
	return n > 0 ? 0 : 1;
}
