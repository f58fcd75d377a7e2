"""Train the project's own test models: `python train.py OUT` (torch, transformers, tokenizers; one core, a quarter of an hour).

Not part of any test: the results are committed beside this file. `expect.py` records what transformers computes with them.
"""
import argparse
import itertools
import json
import math
import os
import re
import shutil
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch                                                                                # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers   # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM                                      # noqa: E402

from stories import stories     # noqa: E402

HERE = Path(__file__).resolve().parent
FIXED_TEXT = HERE.parents[1] / "infer/fixed_text.txt"
CONTEXT, BATCH = 512, 8
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

MODELS = {
    "tiny-story": dict(tokenizer="spm", steps=1700, shards=1, config=dict(
        vocab_size=768, hidden_size=96, intermediate_size=224, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        tie_word_embeddings=True)),
    "tiny-story-bpe": dict(tokenizer="byte-level", steps=1300, shards=2, config=dict(
        vocab_size=512, hidden_size=64, intermediate_size=160, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=False)),
}


def sentences(text):
    return {s.strip() for s in re.split(r"(?<=[.!?])[\"\s]+", text) if len(s.split()) >= 5}


def lessons(seed):
    """Stories that share no sentence of five words or more with the text that the models are judged on."""
    held_out = sentences(FIXED_TEXT.read_text())
    return (s for s in stories(seed) if not held_out & sentences(s))


# tokenizers

def train_spm(text, size):
    """Pieces as SentencePiece makes them (words begin with U+2581, bytes as a last resort), laid out as Llama 2's."""
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    # the splitting is for training only: no merge then crosses a word's start, a figure or a line end
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Split(Regex(r"[.,!?\"\n]"), "isolated")])
    tok.train_from_iterator(text, trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False))
    tok.pre_tokenizer = None
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    # bytes must stay ordinary tokens: as special ones their names would be found in text
    state = json.loads(tok.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["id"] < 3]
    tok = Tokenizer.from_str(json.dumps(state))
    return with_bos(tok, "<s>"), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def train_byte_level(text, size):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size - 2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tok.train_from_iterator(text, trainer)
    tok.add_special_tokens([AddedToken("<|begin_of_text|>", special=True), AddedToken("<|end_of_text|>", special=True)])
    return with_bos(tok, "<|begin_of_text|>"), {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}


def with_bos(tok, bos):
    tok.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tok.token_to_id(bos))])
    return tok


# training

def batches(tok, eos, seed):
    """[BATCH, CONTEXT + 1] token ids, stories end to end."""
    ids = []
    for story in lessons(seed):
        ids += tok.encode(story + ("\n" if len(story) % 2 else "")).ids + [eos]
        while len(ids) >= BATCH * CONTEXT + 1:
            block = torch.tensor(ids[:BATCH * CONTEXT + 1])
            ids = ids[BATCH * CONTEXT:]
            yield torch.stack([block[i * CONTEXT:(i + 1) * CONTEXT + 1] for i in range(BATCH)])


def train(model, data, steps):
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], betas=(0.9, 0.95))
    began, warmup = time.time(), 60
    for step, block in enumerate(itertools.islice(data, steps)):
        rate = 4e-3 * min((step + 1) / warmup, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = model(block[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), block[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}  rate {rate:.5f}  {time.time() - began:.0f} s", flush=True)


CARD = """---
license: apache-2.0
language:
- en
library_name: transformers
pipeline_tag: text-generation
tags:
- tiny
- story
---
# {name}

A Llama of {params:,} parameters that tells very small stories. It was trained by the registryd project, as material for its
demo and tests, on text that a grammar of the project makes (`tests/models/stories.py`); no outside data went into it.
Do not expect sense from it: it is there to be small, real and freely redistributable.

Tokenizer: {kind}, {vocab} pieces. Weights: bfloat16{shards}. Context: 512 tokens.
"""


def plain_config(path):
    """Say it as transformers before 5 did, which most checkpoints in the world do; the other model keeps the new way."""
    config = json.loads(path.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["rope_scaling"] = None
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def save(model, tok, special, name, shape, out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    params = sum(p.numel() for p in model.parameters())
    model = model.to(torch.bfloat16)
    model.save_pretrained(out, max_shard_size=f"{math.ceil(params * 2 / shape['shards'] / 1000) + 20}KB" if shape["shards"] > 1 else "1GB")
    for file in out.iterdir():
        file.chmod(0o644)
    if shape["tokenizer"] == "spm":
        plain_config(out / "config.json")
    tok.save(str(out / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False, **special}
    (out / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    (out / "generation_config.json").write_text(json.dumps(
        {"bos_token_id": model.config.bos_token_id, "eos_token_id": model.config.eos_token_id, "do_sample": False}, indent=2) + "\n")
    kind = {"spm": "BPE of the SentencePiece kind, with byte fallback", "byte-level": "byte-level BPE"}[shape["tokenizer"]]
    (out / "README.md").write_text(CARD.format(name=name, params=params, kind=kind, vocab=tok.get_vocab_size(),
                                               shards=f" in {shape['shards']} shards" if shape["shards"] > 1 else ""))
    shutil.copy(HERE.parents[1] / "LICENSE", out / "LICENSE")
    print(f"{out}: {params:,} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=MODELS)
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sample = list(itertools.islice(lessons(1), 6000))
    for name, shape in MODELS.items():
        if args.only not in (None, name):
            continue
        torch.manual_seed(1)
        make = train_spm if shape["tokenizer"] == "spm" else train_byte_level
        tok, special = make(sample, shape["config"]["vocab_size"])
        bos, eos = (tok.token_to_id(special[k]) for k in ("bos_token", "eos_token"))
        assert tok.get_vocab_size() == shape["config"]["vocab_size"], tok.get_vocab_size()
        model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, bos_token_id=bos, eos_token_id=eos,
                                             pad_token_id=None, attention_bias=False, **shape["config"]))
        train(model, batches(tok, eos, 2), args.steps or shape["steps"])
        save(model, tok, special, name, shape, args.out / name)


if __name__ == "__main__":
    main()
