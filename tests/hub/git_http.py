"""git's smart HTTP for clones and fetches, answered by git itself (git http-backend) from the repository's bare store."""

import os
import subprocess
import threading

from .wire import Response

PIECE = 256 * 1024


def serve(repo, where, request, options):
    if where.verb == "git-receive-pack" or request.value("service") == "git-receive-pack":
        return Response(403, [("Content-Type", "text/plain")], b"this stand-in is read-only\n")
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(repo.git.path), "PATH_INFO": "/" + where.verb, "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.raw_query, "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)), "REMOTE_ADDR": request.client[0],
        # the store belongs to whoever made it; git asks for that to be said when it is another user
        "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "GIT_CONFIG_KEY_1": "uploadpack.allowFilter", "GIT_CONFIG_VALUE_1": str(options.git_filter).lower(),
    }
    if "git-protocol" in request.headers and options.git_v2:
        env["GIT_PROTOCOL"] = request.headers["git-protocol"]
    if options.git_gzip:
        # left out, git reads the compressed bytes as if they were the request: what huggingface.co does
        env["HTTP_CONTENT_ENCODING"] = request.headers.get("content-encoding", "")
    return run(env, request.body)


def run(env, body):
    child = subprocess.Popen(["git", "http-backend"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    threading.Thread(target=feed, args=(child, body), daemon=True).start()
    threading.Thread(target=child.stderr.read, daemon=True).start()
    status, headers = 200, []
    for line in iter(child.stdout.readline, b""):
        line = line.decode("latin-1").strip()
        if not line:
            break
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    return Response(status, headers, pieces(child))


def feed(child, body):
    try:
        child.stdin.write(body)
        child.stdin.close()
    except OSError:
        pass        # git refused the request early; its answer says why


def pieces(child):
    try:
        while data := child.stdout.read1(PIECE):
            yield data
    finally:
        child.kill()
        child.wait()
