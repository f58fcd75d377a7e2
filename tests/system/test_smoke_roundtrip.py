"""The text comes back from its tokens as far as the tokenizer means to keep it; one that is damaged does not give it back."""
import json
import shutil

import pytest

from tests.system.conftest import ROOT
from tests.system.test_smoke_runner import smoke

LOST = "does not give the text back"
STORY = (ROOT / "infer/fixed_text.txt").read_text()
NMT = [{"type": "Nmt"}, {"type": "NFKC"}]
SPLIT = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]}


def replace(what, by, kind="Regex"):
    return {"type": "Replace", "pattern": {kind: what}, "content": by}


@pytest.fixture
def model(shared, tmp_path):
    """The trained model with a tokenizer that puts a sign for blanks, and a way to change it."""
    where = shutil.copytree(shared / "data/models/stories260K/hf-f32", tmp_path / "m")
    for path in where.iterdir():
        path.chmod(0o644)

    def change(first=(), then=(), text=None, **keys):
        tokenizer = json.loads((where / "tokenizer.json").read_text())
        own = tokenizer["normalizer"]
        assert own["type"] == "Sequence"
        tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [*first, *own["normalizers"], *then]}
        tokenizer.update(keys)
        (where / "tokenizer.json").write_text(json.dumps(tokenizer))
        (tmp_path / "text").write_text(text or STORY)
        return " ".join(smoke("--text", tmp_path / "text", where)[1]["reasons"])
    return change


@pytest.mark.parametrize("first, text", [
    (NMT, None), ([{"type": "Strip", "strip_left": True, "strip_right": True}], None), ([{"type": "Lowercase"}], None),
    ([{"type": "NFC"}], STORY.replace("Spot", "Spo\u0301t")), ([{"type": "NFD"}], STORY.replace("Spot", "Sp\u00f3t")),
    ([{"type": "NFD"}, {"type": "StripAccents"}], STORY.replace("Spot", "Sp\u00f3t")), ([{"type": "NFKC"}], STORY.replace("Spot", "\uff33pot \ufb01ne \u2460")),
    ([*NMT, replace(" {2,}", " ")], STORY.replace(". ", ".   ")), ([replace("\n", " ", "String")], None), ([replace("``|''", '"')], STORY.replace("Spot", "``Spot''")),
])
def test_what_normalisers_change(model, first, text):
    assert LOST not in model(first, text=text)


def test_white_space_at_which_words_are_cut(model):
    assert LOST not in model(pre_tokenizer=SPLIT, normalizer={"type": "Sequence", "normalizers": []}, text=STORY.replace(". ", ".\n\n "))


@pytest.mark.parametrize("first", [
    [replace("[aeiou]", "")], [replace("e", "a", "String")], [replace(".*", "")], [replace("[^a-z]", " ")], [replace("[0-9A-Z]", "x")], [replace("(?s).+", "once")]])
def test_normalisers_that_eat_the_text(model, first):
    """What one leaves is what comes back, and yet it is not the text."""
    assert LOST in model(first, text=STORY + "12 cats and 7 dogs.")


@pytest.mark.parametrize("first", [[], NMT, [{"type": "NFC"}]])
@pytest.mark.parametrize("decoder", [
    None, {"type": "Fuse"}, {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
    {"type": "Sequence", "decoders": [replace("\u2581", "", "String"), {"type": "ByteFallback"}, {"type": "Fuse"}]}])
def test_decoders_of_other_tokenizers(model, first, decoder):
    assert LOST in model(first, decoder=decoder)


@pytest.mark.parametrize("first", [[], NMT, [{"type": "Lowercase"}]])
def test_letters_that_are_not_there(model, first, shared):
    """A vocabulary without one letter, and without the bytes to spell it."""
    tokenizer = json.loads((shared / "data/models/stories260K/hf-f32/tokenizer.json").read_text())["model"]
    vocab = {t if "p" not in t and not t.startswith("<0x") else f"\ue000{i}": i for t, i in tokenizer["vocab"].items()}
    merges = [m for m in tokenizer["merges"] if "p" not in (m if isinstance(m, str) else "".join(m))]
    said = model(first, model={**tokenizer, "vocab": vocab, "merges": merges, "byte_fallback": False})
    assert LOST in said or "tokenizer" in said


def sentencepiece(shared, tmp_path, spec):
    """The same vocabulary as SentencePiece has it, with another word of its normaliser behind."""
    where = shutil.copytree(shared / "data/models/stories260K/hf-f16-sharded-spm", tmp_path / "m")
    path = where / "tokenizer.model"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + bytes([0x1a, len(spec)]) + spec)
    (tmp_path / "text").write_text(STORY.replace(". ", ".   ") + "  ")
    return " ".join(smoke("--text", tmp_path / "text", where)[1]["reasons"])


@pytest.mark.parametrize("squeeze", [0, 1])
def test_blanks_that_sentencepiece_takes_for_one(shared, tmp_path, squeeze):
    assert LOST not in sentencepiece(shared, tmp_path, bytes([0x20, squeeze]))
