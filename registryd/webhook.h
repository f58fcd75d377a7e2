/*
 * webhook.h - tells the addresses of the settings (`webhooks:`) of events: each as a POST of its JSON (what /-/v1/events shows), signed. A thread an
 * address, as the settings name them.
 *
 *	X-Registryd-Event: revision.published
 *	X-Registryd-Delivery: <number of the event>-<attempt>
 *	X-Registryd-Signature-256: sha256=<hex HMAC-SHA256 of the body under the first line of secret_file>	(when there is one)
 *
 * Any answer 2xx is "delivered"; redirects are not followed. What is tried again and when, catalog/hook.h says.
 */
#ifndef REGISTRYD_WEBHOOK_H
#define REGISTRYD_WEBHOOK_H

#include "registryd/daemon.h"

struct webhook;

/* New addresses of the settings begin with the events from here on. For a reload, before the settings are anybody's; webhook_start() does it for its own. */
void webhook_begin(struct db *db, const struct config *c);
int webhook_start(struct webhook **out, struct daemon *d, struct err *e);
void webhook_stop(struct webhook *w);	/* breaks off what is being delivered, within about a second; it is told anew after the next start. Accepts NULL */

/* The signature of a body: hex digits of the HMAC. */
#define WEBHOOK_SIGNATURE_MAX 65
void webhook_sign(char out[WEBHOOK_SIGNATURE_MAX], const char *secret, const char *body, size_t n);

#endif
