"""Our tokenizer against the libraries that the models were made with: every kind they know, trained small, on odd strings; exact ids."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import ROOT, oracle_env

ASK = Path(os.environ.get("REGISTRYD_BUILD", ROOT / "build")) / "tests" / "token_ids"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder where the reference libraries left tokenizers and what they answer."""
    where = tmp_path_factory.mktemp("tokenizers")
    python = oracle_env("tokenizers") / "bin/python"
    done = subprocess.run([python, ROOT / "tests/system/tokenizer_oracle.py", where], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "RAYON_NUM_THREADS": "2"})
    assert done.returncode == 0, done.stderr[-2000:]
    return where


def ask(where, texts):
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    done = subprocess.run([ASK, where], input=lines, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_same_ids_as_the_reference(trained):
    cases = sorted(trained.glob("*.jsonl"))
    assert len(cases) > 60
    wrong = []
    for case in cases:
        expected = [json.loads(line) for line in case.read_text().split("\n") if line]
        got = ask(case.with_suffix(""), [e["text"] for e in expected])
        assert len(got) == len(expected) > 200
        for e, g in zip(expected, got):
            for key, ours in (("ids", "ids"), ("plain", "plain"), ("back", "text")):
                if e[key] is not None and g.get(ours) != e[key]:
                    wrong.append(f"{case.stem}: {key} of {e['text'][:60]!a}: expected {str(e[key])[:100]}, got {str(g.get(ours, g))[:100]}")
    assert not wrong, f"{len(wrong)} answers differ:\n" + "\n".join(wrong[:10])


def test_mistral_v1(trained, shared):
    """A real vocabulary of 32,000 pieces, on the same strings."""
    model = shared / "data/models/tokenizers/mistral-v1.tokenizer.model"
    where = trained / "mistral"
    where.mkdir()
    (where / "tokenizer.model").symlink_to(model)
    code = ("import json, sys, sentencepiece\n"
            "sp = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])\n"
            "print(json.dumps([sp.encode(s) for s in json.load(sys.stdin)]))")
    texts = [json.loads(line)["text"] for line in (trained / "spm-bpe-bytes.jsonl").read_text().split("\n") if line]
    done = subprocess.run([oracle_env("tokenizers") / "bin/python", "-c", code, model], input=json.dumps(texts), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [g["plain"] for g in ask(where, texts)] == json.loads(done.stdout)


@pytest.mark.parametrize("vectors, file", [
    ("qwen2", "dashscope/resources/qwen.tiktoken"), ("deepseek-r1-qwen", "dashscope/resources/qwen.tiktoken"),
    ("llama-bpe", "llama_models/llama3/tokenizer.model")])
def test_recorded_vectors_of_rank_files(shared, tmp_path, vectors, file):
    """Vectors that were recorded without their vocabularies: the packages of the two publishers have them."""
    found = next((oracle_env("ranks") / "lib").glob(f"python*/site-packages/{file}"))
    (tmp_path / found.name).symlink_to(found)
    recorded = shared / "data/models/tokenizers" / f"ggml-vocab-{vectors}.gguf"
    with open(f"{recorded}.inp", encoding="utf-8", newline="") as f:
        texts = f.read().split("\n__ggml_vocab_test__\n")
    expected = [[int(i) for i in line.split()] for line in Path(f"{recorded}.out").read_text().split("\n")]
    assert len(texts) == len(expected) == 47
    assert [answer["plain"] for answer in ask(tmp_path, texts)] == expected


def test_what_stands_around_a_text_is_the_files_to_say(shared, tmp_path):
    """As transformers 5 has it; what the configuration wants added counts where the file adds nothing, as for older classes of the Llama line."""
    source = shared / "data/models/stories260K/hf-f32"
    told, said = json.loads((source / "tokenizer.json").read_text()), json.loads((source / "tokenizer_config.json").read_text())

    def around(template, **more):
        (tmp_path / "tokenizer.json").write_text(json.dumps({**told, "post_processor": told["post_processor"] if template else None}))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({**said, **more}))
        answer, = ask(tmp_path, ["Once upon"])
        plain = answer["plain"]
        at = next(i for i in range(len(answer["ids"])) if answer["ids"][i:i + len(plain)] == plain)
        return answer["ids"][:at], answer["ids"][at + len(plain):]

    assert around(True) == around(True, add_bos_token=False) == around(True, bos_token="</s>") == around(True, add_eos_token=True) == ([1], [])
    assert around(False) == ([1], []) and around(False, bos_token="</s>", add_eos_token=True) == ([2], [2]) and around(False, add_bos_token=False) == ([], [])
