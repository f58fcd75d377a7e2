/* ctl_man.c - prints registryctl(1), or with an argument its bash completion, for script/make-man. */
#include "cli/verb.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		verb_completion(stdout);
	else
		verb_man(stdout);
	return fflush(stdout) != 0;
}
