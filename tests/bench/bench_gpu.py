"""script/gpu-check's second half: operations, goldens and recorded figures on a GPU, then timings against limits of the same machine."""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench import synthetic  # noqa: E402
from tests.bench.common import ROOT, WORK  # noqa: E402

TOKENS = 256
LLAMA_7B = synthetic.Shape(4096, 32, 11008, 32, 32, 32000)


def words(*command, env=None):
    """The last line a program prints, and whether it ended with 0."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=os.environ | (env or {}))
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"status {done.returncode}, and not a word"


def correctness(build, rows):
    passed = True
    for name in ("test_ops", "test_golden"):
        good, last = words(build / "tests/gpu" / name, env={"REGISTRYD_TEST_DEVICE": "gpu"})
        rows.append((name, "passed" if good else "FAILED", last))
        passed &= good
    if importlib.util.find_spec("pytest"):
        good, last = words(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "gpu", ROOT / "tests/system/test_smoke_gpu.py")
        rows.append(("recorded figures of data/models", "passed" if good else "FAILED", last))
        passed &= good
    else:
        rows.append(("recorded figures of data/models", "not run", "pytest is not installed here"))
    return passed


def smoke(build, model, *options):
    """The report of one run, and the whole time of the process: opening the device too."""
    start = time.monotonic()
    done = subprocess.run([build / "bin/registryd-smoke", "--json", "--device", "cuda", "--tokens", str(TOKENS), *options, model], capture_output=True, text=True)
    return json.loads(done.stdout), time.monotonic() - start


def sha256_rate(weights):
    """GB/s of one core, the file in the page cache from the first round on: a file is hashed in order, so more cores don't help one file."""
    best = 1e9
    for _ in range(2):
        start = time.monotonic()
        subprocess.run(["openssl", "dgst", "-sha256", weights], check=True, capture_output=True)
        best = min(best, time.monotonic() - start)
    return weights.stat().st_size / best / 1e9


def timings(build, rows):
    weights = synthetic.safetensors(WORK / "llama-7b", LLAMA_7B)
    total = weights.stat().st_size
    hashed, copied = sha256_rate(weights), float(words(build / "tests/gpu/copy_rate")[1])
    rows.append(("limits", f"pinned copy {copied:.1f} GB/s", f"SHA-256, one core {hashed:.1f} GB/s"))
    first = None
    for name, options in (("fits", ()), ("a quarter of it fits", ("--device-memory", str(total // 4)))):
        report, wall = min((smoke(build, weights.parent, *options) for _ in range(3)), key=lambda r: r[0]["forward_s"] or 1e9)
        if not report["forward_s"]:
            rows.append((f"{total / 1e9:.1f} GB bfloat16, {name}", "FAILED", "; ".join(report["reasons"])))
            continue
        first = first or report
        rate = total / (report["load_s"] + report["forward_s"]) / 1e9
        rows.append((f"{total / 1e9:.1f} GB bfloat16, {TOKENS} tokens, {name}", f"scan and forward {rate:.1f} GB/s, {rate / min(hashed, copied):.2f} of the slower limit",
                     f"process {wall:.1f} s, device memory {report['gpu_peak_bytes'] / 2**30:.1f} GiB, decode {report['decode_tokens_per_s'] or 0:.0f} tokens/s"))
    return first


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    a = p.parse_args()
    rows = []
    passed = correctness(a.build.resolve(), rows)
    report = timings(a.build.resolve(), rows)
    platform = (report or {}).get("platform", {})
    text = [f"{platform.get('gpu')}, compute capability {platform.get('compute_capability')}, driver {platform.get('driver')}, CUDA {platform.get('cuda_runtime')}, "
            f"{time.strftime('%Y-%m-%d')}", "", "| what | result | more |", "|---|---|---|", *(f"| {' | '.join(r)} |" for r in rows), ""]
    a.out.write_text("\n".join(text))
    print("\n".join(text))
    sys.exit(0 if passed and report else 1)


if __name__ == "__main__":
    main()
