/* config_man.c - prints the settings as the body of registryd.yaml(5), for script/make-man. */
#include "registryd/config.h"

int main(void)
{
	own(mem) char *body = config_man();

	return fputs(body, stdout) < 0;
}
