"""/_hub/…: the stand-in's own door, for scripts that have no Python at hand. Not logged, never faulty.

    GET    /_hub/                 models, ports, options
    GET    /_hub/faults           the rules with how often each was seen and acted
    POST   /_hub/faults           one rule or a list of them (see faults.py); answers {"ids": [..]}
    DELETE /_hub/faults[/ID]      all rules, or one
    GET    /_hub/log              requests answered, oldest first;  DELETE forgets them
    POST   /_hub/models/ORG/NAME  {"rename": NEW} or {"delete": true} or {"gated": .., "private": .., "disabled": ..}
                                  or {"commit": {path: text or null}, "message": "..", "branch": ".."}
    POST   /_hub/tokens           {"token": "hf_..", "user": "..", "granted": [..], "sees": [..]}
    POST   /_hub/options          {"small_files": "direct", ..}
"""

import json
from dataclasses import asdict

from .api import json_response


def handle(hub, request, where):
    what, _, rest = where.path.partition("/")
    table = {("GET", ""): overview, ("GET", "faults"): lambda h, r, b: {"faults": h.faults.list()}, ("POST", "faults"): add_faults,
             ("DELETE", "faults"): drop_faults, ("GET", "log"): lambda h, r, b: {"requests": [asdict(x) for x in h.requests()]},
             ("DELETE", "log"): lambda h, r, b: h.clear_log() or {}, ("POST", "models"): change_model,
             ("POST", "tokens"): lambda h, r, b: {"token": h.add_token(b.pop("token"), **b)}, ("POST", "options"): set_options}
    act = table.get((request.method, what))
    if act is None:
        return json_response({"error": f"no {request.method} /_hub/{what}"}, 404)
    try:
        body = json.loads(request.body) if request.body else {}
        return json_response(act(hub, rest, body))
    except (ValueError, KeyError, TypeError) as e:
        return json_response({"error": f"{type(e).__name__}: {e}"}, 400)


def overview(hub, _rest, _body):
    return {"url": hub.url, "cdn": hub.cdn_url, "other": hub.other_url, "options": asdict(hub.options),
            "models": {n: {"refs": r.refs, "files": len(r.head.entries), "gated": r.gated, "private": r.private}
                       for n, r in sorted(hub.repos.items())}}


def add_faults(hub, _rest, body):
    return {"ids": [hub.faults.add(**rule) for rule in (body if isinstance(body, list) else [body])]}


def drop_faults(hub, rest, _body):
    if rest and not hub.faults.remove(int(rest)):
        raise KeyError(f"no fault rule {rest}")
    if not rest:
        hub.faults.clear()
    return {}


def set_options(hub, _rest, body):
    for key, value in body.items():
        if not hasattr(hub.options, key):
            raise KeyError(f"no option {key}")
        setattr(hub.options, key, value)
    return asdict(hub.options)


def change_model(hub, name, body):
    if "rename" in body:
        hub.rename(name, body["rename"])
        return {"renamed": body["rename"]}
    if body.get("delete"):
        hub.delete(name)
        return {"deleted": name}
    if "commit" in body:
        return {"commit": hub.commit(name, body.pop("commit"), **body)}
    hub.update(name, **body)
    return {"updated": sorted(body)}
