"""Run the stand-in Hub in the foreground: `python3 -m tests.hub --root DIR --port N`."""

import argparse
import json
import signal
import sys
import threading

from .hub import Hub, load_root


def main():
    parser = argparse.ArgumentParser(prog="python3 -m tests.hub", description=__doc__)
    parser.add_argument("--root", required=True, help="folder of ORG/NAME model folders (ORG/NAME.hub.json beside: gated, tags, ..)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (default) picks a free one")
    parser.add_argument("--cdn-host", default="127.0.0.2", help="where LFS files are redirected to")
    parser.add_argument("--cdn-port", type=int, default=0)
    parser.add_argument("--work", help="folder for git repositories and payloads; a temporary one by default")
    parser.add_argument("--faults", help="JSON file: a list of fault rules")
    parser.add_argument("--ready-file", help="write the URL here once it answers")
    parser.add_argument("--direct", action="store_true", help="small files are answered at once, not redirected")
    parser.add_argument("--no-xet", action="store_true", help="leave out the Xet markers that huggingface.co shows")
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Hub(args.host, args.port, args.cdn_host, args.cdn_port, root=args.work, xet=not args.no_xet,
             small_files="direct" if args.direct else "redirect") as hub:
        load_root(hub, args.root)
        if args.faults:
            with open(args.faults) as f:
                for rule in json.load(f):
                    hub.faults.add(**rule)
        if args.ready_file:
            with open(args.ready_file, "w") as f:
                f.write(hub.url + "\n")
        print(f"stand-in hub at {hub.url}, files from {hub.cdn_url}, models: {', '.join(sorted(hub.repos)) or 'none'}", flush=True)
        stop.wait()


if __name__ == "__main__":
    sys.exit(main())
