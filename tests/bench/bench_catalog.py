"""Questions to a catalog as large as the Hub: tests/bench/catalog_gen.c makes it, catalog_bench.c asks."""
import os
import re
import subprocess

from .common import BIN, WORK

TOOLS = BIN.parent / "tests"
MODELS = int(os.environ.get("REGISTRYD_BENCH_MODELS", "2000000"))
# p99 in milliseconds, by the first words of catalog_bench's lines.
TARGETS = {"apache-2.0": 3, "any licence": 3, "two common": 5, "common and": 5, "two middling": 5, "rare and": 5, "tag, licence": 5, "facets": 5, "author": 5, "any mix": 5, "substring": 50}


def questions(table):
    path = WORK / f"catalog-{MODELS}.sqlite"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run([TOOLS / "catalog_gen", path, str(MODELS), "files"], check=True)
    out = subprocess.run([TOOLS / "catalog_bench", path, "200", "index"], check=True, capture_output=True, text=True).stdout
    what = f"catalog of {MODELS:,} models: "
    table.add(what + "file", f"{path.stat().st_size / 1e9:.2f} GB", target="< 3.8 GB")
    for line in out.splitlines():
        timed = re.match(r"(.*?)\s{2,}(?:p50\s+([\d.]+) ms\s+p99\s+)?([\d.]+) ms(?:\s+of the processor ([\d.]+), ([\d.]+) ms)?$", line)
        if not timed:       # a rate or a ratio, in its own words
            table.add("  " + re.sub(r"\s{2,}.*", "", line), re.sub(r".*?\s{2,}", "", line, count=1))
            continue
        name, p50, p99, cpu50, cpu99 = timed.groups()
        target = next((f"p99 < {t} ms" for words, t in TARGETS.items() if name.startswith(words)), "< 100 ms" if name.startswith("open") else "")
        table.add("  " + name, f"p50 {p50} ms, p99 {p99} ms (processor {cpu50}, {cpu99})" if p50 else f"{p99} ms", target=target)
