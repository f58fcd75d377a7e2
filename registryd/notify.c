/* notify.c - see notify.h. One datagram a message; one that does not arrive is worth a line in the log and no more. */
#include "registryd/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"

#define MESSAGE_MAX   512
#define ORDERLY_END_S 50	/* beside the grace for running answers: jobs stop, the catalog is closed */

static void tell(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	own(fd) int fd = -1;

	if (!n || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_event(LOG_WARNING, "daemon.notify_failed", "socket=%s", path);
}

void notify_ready(const char *status)
{
	char text[MESSAGE_MAX];

	snprintf(text, sizeof(text), "READY=1%s%s", status ? "\nSTATUS=" : "", status ? status : "");
	tell(text);
}

void notify_reloading(void)
{
	struct timespec t;
	char text[MESSAGE_MAX];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	tell(text);
}

void notify_stopping(int64_t grace_s)
{
	char text[MESSAGE_MAX];

	snprintf(text, sizeof(text), "STOPPING=1\nSTATUS=running answers end\nEXTEND_TIMEOUT_USEC=%lld", (long long)(grace_s + ORDERLY_END_S) * 1000000);
	tell(text);
}

/* $WATCHDOG_USEC is for the process that $WATCHDOG_PID names: a child that inherited both is not meant. */
int64_t notify_watchdog_ms(void)
{
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t usec, whose;
	struct err e;

	if (!interval || !getenv("NOTIFY_SOCKET") || str_parse_u64(interval, &usec, &e) || !usec)
		return 0;
	if (pid && (str_parse_u64(pid, &whose, &e) || whose != (uint64_t)getpid()))
		return 0;
	return usec < 2000 ? 1 : (int64_t)(usec / 2000);
}

void notify_alive(void)
{
	tell("WATCHDOG=1");
}
