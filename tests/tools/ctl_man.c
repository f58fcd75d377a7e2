/* ctl_man.c - prints registryctl(1), for script/make-man. */
#include "cli/verb.h"

int main(void)
{
	verb_man(stdout);
	return fflush(stdout) != 0;
}
