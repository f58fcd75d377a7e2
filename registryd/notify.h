/*
 * notify.h - what the service manager is told: sd_notify(3) without its library. Where none listens ($NOTIFY_SOCKET), all of it does nothing.
 * Only the thread that follows signals calls it.
 */
#ifndef REGISTRYD_NOTIFY_H
#define REGISTRYD_NOTIFY_H

#include <stdint.h>

/* status: one line for `systemctl status`; NULL: what it was. */
void notify_ready(const char *status);
void notify_reloading(void);
/* The end may take up to grace_s and what the rest of an orderly end takes, whatever TimeoutStopSec= says. */
void notify_stopping(int64_t grace_s);

/* How often notify_alive() is to be called so that the watchdog does not bite, half of its interval; 0: nobody watches this process. */
int64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
