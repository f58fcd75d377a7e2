"""Whole smoke tests of synthetic checkpoints: against hashing the same bytes, against llama.cpp, and of models larger than memory."""
import json
import os
import subprocess
import time
from dataclasses import dataclass

from . import synthetic
from .common import BIN, ROOT, WORK, timed, venv

TOKENS = 64
ROUNDS = 3
LLAMA_CPP = "llama-cpp-python"


@dataclass
class Run:
    """One run of a program: its wall time, its processor time, and the work it did in that."""
    wall: float
    cpu: float
    peak: tuple | None          # the widest vectors for it, and the GFLOP/s that a core had with them
    report: dict = None

    def floor(self, params, tokens):
        """CPU-s that the model's multiply-adds alone take at that rate."""
        return 2e-9 * params * tokens / self.peak[1] if self.peak else None


def _fma_peak():
    """fp32 multiply-adds of one core just now, in GFLOP/s, and with what."""
    out = subprocess.run([ROOT / "build" / "tests" / "fma_peak"], capture_output=True, text=True)
    if out.returncode:
        return None
    name, rate = out.stdout.split()
    return name, float(rate)


def _smoke(*args, peak=None):
    before, start = os.times(), time.monotonic()
    out = subprocess.run(list(map(str, [BIN / "registryd-smoke", "--device", "cpu", "--tokens", TOKENS, "--json", *args])), capture_output=True, text=True)
    wall, after = time.monotonic() - start, os.times()
    run = Run(wall, after.children_user + after.children_system - before.children_user - before.children_system, peak, json.loads(out.stdout))
    if not run.report.get("forward_s"):     # random weights fail the test: what matters is that they were run
        raise RuntimeError(f"registryd-smoke {args[-1]}: {run.report['reasons']}")
    return run


def _tokens_run(report):
    """Of the text and of its controls."""
    return round(report["tokens_per_s"] * report["forward_s"])


def _warm(path):
    with open(path, "rb") as f:
        while f.read(1 << 24):
            pass


def _add_of_peak(table, run, params, tokens, whose=""):
    """What part of all the multiply-adds that its processor time had room for are those of the model."""
    floor = run.floor(params, tokens)
    if floor:
        table.add(f"  multiply-adds{whose}, all of the run's {run.cpu:.2f} CPU-s", f"{2e-9 * params * tokens / run.cpu:.0f} GFLOP/s a core",
                  f"most with {run.peak[0]}, {run.peak[1]:.0f} GFLOP/s", floor / run.cpu)
    return floor


def check(table):
    """Scan and forward pass, and with hashing beside them, against one core's SHA-256 of the same bytes."""
    path = WORK / "llama-3.2-1b"
    weights = synthetic.safetensors(path, synthetic.LLAMA_1B)
    size = weights.stat().st_size
    _warm(weights)
    sha = sorted(timed(["openssl", "dgst", "-sha256", weights]) for _ in range(ROUNDS))
    runs = sorted((_smoke(path, peak=_fma_peak()) for _ in range(ROUNDS)), key=lambda r: r.cpu)
    fastest = min(runs, key=lambda r: r.wall)
    table.add(f"smoke test, {size / 1e9:.1f} GB bf16 Llama, {TOKENS} tokens", f"load {fastest.report['load_s']:.2f} s, forward {fastest.report['forward_s']:.2f} s",
              f"openssl dgst -sha256, {sha[0][0]:.2f} s", fastest.wall / sha[0][0])
    table.add("  peak memory", f"{runs[0].report['peak_bytes'] / (1 << 20):.0f} MiB")
    floor = _add_of_peak(table, runs[0], runs[0].report["params"], _tokens_run(runs[0].report))
    both = min(_beside(weights, path) for _ in range(ROUNDS))
    cores, hashing = os.cpu_count(), min(cpu for _, cpu in sha)
    table.add("  hash, scan and forward at once", f"{both:.2f} s on {cores} cores", f"openssl dgst -sha256, {sha[0][0]:.2f} s", both / sha[0][0], "<= 1.3")
    table.add(f"  by processor time, which {cores} cores share", f"{hashing:.2f} and {runs[0].cpu:.2f} CPU-s", f"the former, {hashing:.2f} CPU-s",
              (hashing + runs[0].cpu) / cores / hashing, "<= 1.3")
    if floor:
        table.add("  the least that fp32 multiply-adds allow", f"{hashing:.2f} and {floor:.2f} CPU-s", f"the former, {hashing:.2f} CPU-s",
                  (hashing + floor) / cores / hashing)


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
start, cpu = time.monotonic(), time.process_time()
llm = llama_cpp.Llama(model_path=path, n_ctx=128, n_batch=len(ids), n_ubatch=len(ids), n_threads=threads, n_threads_batch=threads, logits_all=True, verbose=False)
llm.eval(ids)
print(json.dumps([time.monotonic() - start, time.process_time() - cpu]))
"""


def _peer(python, file, ids, threads):
    peak = _fma_peak()
    out = subprocess.run([python, "-c", PEER, file, json.dumps(ids), str(threads)], check=True, capture_output=True, text=True).stdout
    return Run(*json.loads(out), peak)


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
    ids = _smoke(*alone, file).report["tokens"]
    if len(ids) != TOKENS:
        raise RuntimeError(f"{text} has {len(ids)} tokens, not {TOKENS}")
    for threads in sorted({1, os.cpu_count()}, reverse=True):
        _against(table, python, file, alone, ids, threads)


def _against(table, python, file, alone, ids, threads):
    whole, forward, theirs = [], [], []
    for _ in range(ROUNDS):
        whole.append(_smoke("--threads", threads, file, peak=_fma_peak()))
        forward.append(_smoke("--threads", threads, *alone, file, peak=_fma_peak()))
        theirs.append(_peer(python, file, ids, threads))
    ours, text, peer = (min(runs, key=lambda r: r.wall) for runs in (whole, forward, theirs))
    words = f"llama.cpp, load and {TOKENS} tokens, {peer.wall:.2f} s"
    table.add(f"smoke test, {file.stat().st_size / 1e9:.1f} GB bf16 GGUF, {TOKENS} tokens and 32 of controls, {threads} threads", f"{ours.wall:.2f} s", words,
              ours.wall / peer.wall, "<= 0.33")
    table.add("  the same tokens without controls", f"{text.wall:.2f} s", words, text.wall / peer.wall)
    ours, text, peer = (min(runs, key=lambda r: r.cpu) for runs in (whole, forward, theirs))
    table.add("  by processor time, with and without controls", f"{ours.cpu:.2f} and {text.cpu:.2f} CPU-s", f"llama.cpp, {peer.cpu:.2f} CPU-s", text.cpu / peer.cpu)
    params = text.report["params"]
    _add_of_peak(table, ours, params, _tokens_run(ours.report), ", with controls")
    floor = _add_of_peak(table, text, params, TOKENS, ", without")
    _add_of_peak(table, peer, params, TOKENS, " of llama.cpp")
    if floor:
        table.add("  the least that fp32 multiply-adds allow, without controls", f"{floor:.2f} CPU-s", f"llama.cpp, {peer.cpu:.2f} CPU-s", floor / peer.cpu)


def size(table):
    """30 GB, dense and with experts, in either format: in how much memory? Each file is made, run and deleted. REGISTRYD_BENCH_HOLES=1 makes holes of most of it."""
    holes = os.environ.get("REGISTRYD_BENCH_HOLES") == "1"
    for what, shape in (("dense", synthetic.LLAMA_30GB), ("8 experts", synthetic.MIXTRAL_30GB)):
        for kind, make, path in (("safetensors", synthetic.safetensors, WORK / "large"), ("GGUF", synthetic.gguf, WORK / "large.gguf")):
            weights = make(path, shape, holes)
            n = weights.stat().st_size
            run = _smoke(path)
            for file in [weights, *(path.iterdir() if path.is_dir() else [])]:
                file.unlink(missing_ok=True)
            peak = run.report["peak_bytes"]
            table.add(f"smoke test, {n / 1e9:.1f} GB, {what}, {kind}", f"{peak / (1 << 20):.0f} MiB, {run.wall:.0f} s", "limit 4 GiB", peak / (4 << 30), "<= 1")
