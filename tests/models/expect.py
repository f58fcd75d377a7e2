"""Record what transformers computes with the test models: `python expect.py > expected.json` (after train.py).

Weights as stored (bfloat16) and everything else in float32. `loss` is the mean over t of -log softmax(logits[t])[id[t+1]].
"""
import json
import math
import os
import sys
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers                                               # noqa: E402
import torch                                                    # noqa: E402
import transformers                                             # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer    # noqa: E402

HERE = Path(__file__).resolve().parent
PROMPT, GREEDY_TOKENS = "Once upon a time", 32
# what a tokenizer may trip over
STRINGS = ["", " ", "a", " a", "a ", "  two  spaces ", "\n", "\n\nA line\n", "Hello, World!", "123 4567", "It's \"I'm\" and we've",
           "naïve café", "日本語", "🙂", "tab\there", "A<s>b</s>", "▁under", "don't stop!!! ...", "\r\nwindows\r\n", "<0x41>"]


def record(folder, text):
    tok = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tok(text)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="mean").item()
    prompt = tok(PROMPT)["input_ids"]
    with torch.no_grad():
        out = model.generate(torch.tensor([prompt]), max_new_tokens=GREEDY_TOKENS, do_sample=False, pad_token_id=0)[0].tolist()
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "fixed_text": {"bytes": len(text.encode()), "token_ids": ids, "loss_nats_per_token": round(loss, 7),
                       "bits_per_byte": round(loss * (len(ids) - 1) / (math.log(2) * len(text.encode())), 7)},
        "greedy": {"prompt": PROMPT, "prompt_ids": prompt, "new_ids": out[len(prompt):], "text": tok.decode(out, skip_special_tokens=True)},
        "strings": [{"text": s, "ids": tok(s)["input_ids"]} for s in STRINGS],
    }


def main():
    torch.set_num_threads(1)
    text = (HERE.parents[1] / "infer/fixed_text.txt").read_text()
    versions = {m.__name__: m.__version__.split("+")[0] for m in (torch, transformers, tokenizers)}
    folders = sorted(p.parent for p in HERE.glob("*/config.json"))
    json.dump({"computed_with": versions, "models": {f.name: record(f, text) for f in folders}}, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
