"""Whole smoke tests of synthetic checkpoints: against hashing the same bytes, against llama.cpp, and of models larger than memory."""
import json
import os
import subprocess
import time

from . import synthetic
from .common import BIN, ROOT, WORK, timed, venv

TOKENS = 64
ROUNDS = 3
LLAMA_CPP = "llama-cpp-python"
FRESH = ["sh", "-c", '"$@"; exit $?', "sh"]     # a small parent: the kernel counts the memory of whoever starts a program into its peak


def _smoke(*args):
    """The report, and the wall time of the whole process."""
    start = time.monotonic()
    out = subprocess.run([*FRESH, BIN / "registryd-smoke", "--device", "cpu", "--tokens", str(TOKENS), "--json", *map(str, args)], capture_output=True, text=True)
    wall = time.monotonic() - start
    report = json.loads(out.stdout)
    if not report.get("forward_s"):     # random weights fail the test: what matters is that they were run
        raise RuntimeError(f"registryd-smoke {args[-1]}: {report['reasons']}")
    return report, wall


def _warm(path):
    with open(path, "rb") as f:
        while f.read(1 << 24):
            pass


def check(table):
    """Scan and forward pass, and with hashing beside them, against one core's SHA-256 of the same bytes."""
    path = WORK / "llama-3.2-1b"
    weights = synthetic.safetensors(path, synthetic.LLAMA_1B)
    size = weights.stat().st_size
    _warm(weights)
    sha = min(timed(["openssl", "dgst", "-sha256", weights])[0] for _ in range(ROUNDS))
    report, wall = min((_smoke(path) for _ in range(ROUNDS)), key=lambda r: r[1])
    table.add(f"smoke test, {size / 1e9:.1f} GB bf16 Llama, {TOKENS} tokens", f"load {report['load_s']:.2f} s, forward {report['forward_s']:.2f} s",
              f"openssl dgst -sha256, {sha:.2f} s", wall / sha)
    table.add("  peak memory", f"{report['peak_bytes'] / (1 << 20):.0f} MiB")
    both = min(_beside(weights, path) for _ in range(ROUNDS))
    table.add("  hash, scan and forward at once", f"{both:.2f} s on {os.cpu_count()} cores", f"openssl dgst -sha256, {sha:.2f} s", both / sha, "<= 1.3")


def _beside(weights, path):
    start = time.monotonic()
    hashing = subprocess.Popen(["openssl", "dgst", "-sha256", weights], stdout=subprocess.DEVNULL)
    _smoke(path)
    hashing.wait()
    return time.monotonic() - start


PEER = """
import json, sys, time
import llama_cpp
path, ids, threads = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
start = time.monotonic()
llm = llama_cpp.Llama(model_path=path, n_ctx=128, n_batch=len(ids), n_ubatch=len(ids), n_threads=threads, n_threads_batch=threads, logits_all=True, verbose=False)
loaded = time.monotonic()
llm.eval(ids)
print(json.dumps([loaded - start, time.monotonic() - loaded]))
"""


def llama_cpp(table):
    """The same file, tokens and number of threads, loading included; the package is compiled for this machine once, which takes its time."""
    file = synthetic.gguf(WORK / "llama-3.2-1b.gguf", synthetic.LLAMA_1B)
    os.environ["CMAKE_ARGS"] = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
    try:
        python = venv("llama-cpp", LLAMA_CPP) / "python"
    except subprocess.CalledProcessError as e:
        table.add("smoke test against llama.cpp", f"not measured: {LLAMA_CPP} could not be installed ({e})")
        return
    _warm(file)
    text = WORK / "text-64"
    text.write_bytes((ROOT / "infer" / "fixed_text.txt").read_bytes()[:TOKENS - 2])     # a token a byte, one that begins the text and a blank
    alone = ["--perplexity-chunk", TOKENS, "--text", text]      # the tokens without the controls that a verdict needs
    ids, threads = _smoke(*alone, file)[0]["tokens"], str(os.cpu_count())
    if len(ids) != TOKENS:
        raise RuntimeError(f"{text} has {len(ids)} tokens, not {TOKENS}")
    whole, forward, theirs = [], [], []
    for _ in range(ROUNDS):
        whole.append(_smoke(file)[1])
        forward.append(_smoke(*alone, file)[1])
        theirs.append(sum(json.loads(subprocess.run([python, "-c", PEER, file, json.dumps(ids), threads], check=True, capture_output=True, text=True).stdout)))
    peer = f"llama.cpp, load and {TOKENS} tokens, {min(theirs):.2f} s"
    table.add(f"smoke test, {file.stat().st_size / 1e9:.1f} GB bf16 GGUF, {TOKENS} tokens and 32 of controls, {threads} threads", f"{min(whole):.2f} s", peer,
              min(whole) / min(theirs), "<= 0.33")
    table.add("  the same tokens without controls", f"{min(forward):.2f} s", peer, min(forward) / min(theirs))


def size(table):
    """30 GB, dense and with experts, in either format: in how much memory? Each file is made, run and deleted. REGISTRYD_BENCH_HOLES=1 makes holes of most of it."""
    holes = os.environ.get("REGISTRYD_BENCH_HOLES") == "1"
    for what, shape in (("dense", synthetic.LLAMA_30GB), ("8 experts", synthetic.MIXTRAL_30GB)):
        for kind, make, path in (("safetensors", synthetic.safetensors, WORK / "large"), ("GGUF", synthetic.gguf, WORK / "large.gguf")):
            weights = make(path, shape, holes)
            n = weights.stat().st_size
            report, wall = _smoke(path)
            for file in [weights, *(path.iterdir() if path.is_dir() else [])]:
                file.unlink(missing_ok=True)
            peak = report["peak_bytes"]
            table.add(f"smoke test, {n / 1e9:.1f} GB, {what}, {kind}", f"{peak / (1 << 20):.0f} MiB, {wall:.0f} s", "limit 4 GiB", peak / (4 << 30), "<= 1")
