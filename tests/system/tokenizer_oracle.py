"""Runs in an environment with the reference libraries: trains small tokenizers of every kind and says what they make of odd strings.

tokenizer_oracle.py OUT: writes OUT/NAME/ (the tokenizer's own files) and OUT/NAME.jsonl: a line a string, {"text", "ids" (with
what the post-processor adds, or null), "plain" (without), "back" (decoded, or null)}.
"""
import base64
import io
import json
import random
import sys
import unicodedata
from pathlib import Path

import sentencepiece
import sentencepiece.sentencepiece_model_pb2 as spm_pb
import tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = Path(sys.argv[1])
N_STRINGS = 300

CORPUS = [
    "Once upon a time there was a little girl named Lily. She loved to play outside in the park, and she didn't like it when it rained.",
    "int main(int argc, char **argv)\n{\n\tfor (size_t i = 0; i < n; i++)\n\t\tputs(argv[i]);\n\treturn 0;\n}\n",
    "The quick brown fox jumps over the lazy dog 1234567890 times; that's 12% more than in 2019, isn't it? We'll see...",
    "Привет, мир! Как дела? 你好世界。今天天气很好。こんにちは世界 안녕하세요 مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก",
    "ĐƯỜNG phố café naïve Straße İstanbul 😀😃👍🏽👨‍👩‍👧‍👦 ﬁne ① ½ Ⅷ ǅ snake_case CamelCase HTTPServer <tag attr=\"x\"> $5.00 €7",
] * 12

ATOMS = [
    "a", "b", "the", " the", "  ", "   ", " ", "\n", "\n\n", "\r\n", "\t", "'s", "'S", "'ll", "'LL", "'Ve", "don't", "I'm", "1", "12", "123", "1234",
    "12345", "٣", "½", "Ⅷ", "²", "é", "e\u0301", "\u0301", "\u0300\u0323", "ñ", "Å", "\u212b", "ﬁ", "你好", "世界", "。", "、", "，", "こん", "ニチ",
    "한국", "각", "\u1100\u1161", "привет", " мир", "ё", "😀", "👍🏽", "👨‍👩‍👧", "🇩🇪", "\u200d", "\u200b", "\u200c", "\u00a0", "\u3000", "\u2028", "\u2029",
    "\u0085", "\u180e", "\ufeff", "\u202f", "\x00", "\x01", "\x1c", "\x1f", "\x7f", "\x0b", "\x0c", "<s>", "</s>", "<|endoftext|>", "<mask>", "<foo>",
    "[CLS]", "hello", "Hello", " World", "HTTP", "snake_case", "CamelCase", "foo.bar(x)", "==", "...", "!!!", "???", "--", "—", "«", "”", "_", "$", "€",
    "%", "^", "&", "*", "(", ")", "[", "]", "{", "}", "\\", "/", "|", "~", "`", "@", "#", "ı", "İ", "ß", "ẞ", "ǅ", "\u212a", "ſ", "'ſ", "ⓐ", "🅰", "ª", "º",
    "ʰ", "ไทย", "नमस्ते", "क्ष", "עברית", "عربي", "ـ", "▁", "▁▁", "Ġ", "Ċ", "<0x0A>", "<0xff>", "\U0001f600\ufe0f", "zz", "\uffff", "\U0010ffff", "\ue000",
    "\ufffd",
]


def strings(seed):
    """Odd strings from a fixed seed; characters that only a newer Unicode knows are left out."""
    r = random.Random(seed)
    out = ["", "a", " ", "\n", "  a  ", "<s>", "x" * 3000, " " * 2000, "ab" * 1500]
    ranges = [(0x20, 0x7f), (0xa0, 0x250), (0x300, 0x600), (0x904, 0xa00), (0x2000, 0x2c00), (0x3040, 0x9fa0), (0xac00, 0xd7a3), (0x1f300, 0x1f6ff)]
    while len(out) < N_STRINGS:
        k = r.random()
        if k < .7:
            s = "".join(r.choice(ATOMS) for _ in range(r.randint(1, 14)))
        elif k < .8:
            s = r.choice(CORPUS)[r.randint(0, 40):][:r.randint(1, 100)]
        elif k < .95:
            s = "".join(chr(r.randrange(*r.choice(ranges))) for _ in range(r.randint(1, 20)))
        else:
            s = r.choice(ATOMS) * r.randint(2, 200)
        out.append("".join(c for c in s if unicodedata.category(c) != "Cn" or c in "\uffff\U0010ffff"))
    return out


def record(name, lines):
    (OUT / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def folder(name):
    (OUT / name).mkdir(parents=True)
    return OUT / name


def ask(tokenizer, seed=1):
    for text in strings(seed):
        ids, plain = tokenizer.encode(text).ids, tokenizer.encode(text, add_special_tokens=False).ids
        yield {"text": text, "ids": ids, "plain": plain, "back": tokenizer.decode(plain)}


def keep(name, tokenizer):
    tokenizer.save(str(folder(name) / "tokenizer.json"))
    record(name, ask(tokenizer))


P, N, D = pre_tokenizers, normalizers, decoders
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
             r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
SPECIAL = ["<unk>", "<s>", "</s>", "<|endoftext|>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]
BOS = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
BYTE_LEVEL = P.ByteLevel(add_prefix_space=False, use_regex=False)


def train(model, trainer, norm=None, pre=None, dec=None, post=None, added=()):
    t = Tokenizer(model)
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    if dec:
        t.decoder = dec
    t.train_from_iterator(CORPUS, trainer)
    t.add_tokens(list(added))
    if post:
        t.post_processor = post
    return t


def split(pattern, behaviour="isolated", invert=False):
    return P.Split(Regex(pattern), behaviour, invert)


def byte_level(pre, norm=None, ignore_merges=False, size=700, post=None, added=()):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False)
    return train(models.BPE(ignore_merges=ignore_merges), trainer, norm, pre, D.ByteLevel(), post, added)


def bpe(norm=None, pre=None, dec=None, size=600, added=(), **model):
    limits = {"limit_alphabet": 90} if model.get("byte_fallback") or model.get("fuse_unk") is not None else {}
    marks = {k: model[k] for k in ("continuing_subword_prefix", "end_of_word_suffix") if k in model}
    special = SPECIAL + (BYTES if model.get("byte_fallback") else [])
    trainer = trainers.BpeTrainer(vocab_size=size + len(special), special_tokens=special, show_progress=False, **limits, **marks)
    return train(models.BPE(unk_token="<unk>", **model), trainer, norm, pre, dec, BOS, added)


def families():
    keep("gpt2", byte_level(P.ByteLevel(add_prefix_space=False)))
    keep("gpt2-prefix", byte_level(P.ByteLevel(add_prefix_space=True), post=BOS))
    keep("llama3", byte_level(P.Sequence([split(LLAMA3), BYTE_LEVEL]), ignore_merges=True,
                              post=processors.Sequence([processors.ByteLevel(trim_offsets=False), BOS])))
    keep("qwen2", byte_level(P.Sequence([split(QWEN2), BYTE_LEVEL]), N.NFC()))
    keep("o200k", byte_level(P.Sequence([split(O200K), BYTE_LEVEL])))
    keep("deepseek3", byte_level(P.Sequence([*map(split, DEEPSEEK3), BYTE_LEVEL])))
    keep("starcoder", byte_level(P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)])))
    keep("bloom", byte_level(P.Sequence([split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), BYTE_LEVEL])))
    keep("falcon", byte_level(P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False), split("[0-9][0-9][0-9]")])))
    keep("added", byte_level(P.ByteLevel(add_prefix_space=False), added=[
        AddedToken("<mask>", lstrip=True, special=True, normalized=False), AddedToken("<foo>", rstrip=True, normalized=False),
        AddedToken("Hello", single_word=True, normalized=True), AddedToken("zz", single_word=True, normalized=False),
        AddedToken("  ", normalized=False)]))
    spm_decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    keep("llama", bpe(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, spm_decoder, fuse_unk=True, byte_fallback=True))
    keep("gemma", bpe(N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"), D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]),
                      fuse_unk=True, byte_fallback=True,
                      added=[AddedToken("\n\n", normalized=False), AddedToken("▁▁", normalized=False), AddedToken("   ", normalized=True)]))


def parts():
    for fuse in (True, False):
        keep(f"unknown-fused-{fuse}", bpe(None, P.Metaspace(), fuse_unk=fuse))
    keep("word-prefix", bpe(None, P.Whitespace(), D.WordPiece(), continuing_subword_prefix="##"))
    keep("word-suffix", bpe(N.Sequence([N.NFC(), N.Lowercase()]), P.BertPreTokenizer(), D.BPEDecoder(), end_of_word_suffix="</w>"))
    for scheme in ("always", "first", "never"):
        keep(f"metaspace-{scheme}", bpe(None, P.Metaspace(prepend_scheme=scheme, split=scheme != "never"), D.Metaspace(prepend_scheme=scheme),
                                        added=[AddedToken("<mask>", lstrip=True)]))
    for name, norm in {"strip": N.Strip(), "nmt": N.Nmt(), "replace": N.Replace(Regex("^ +"), ""), "join": N.Replace(Regex(" {2,}"), " "),
                       "accents": N.Sequence([N.NFKC(), N.Lowercase(), N.StripAccents()])}.items():   # no mark where the text's first characters went
        keep(f"metaspace-first-{name}", bpe(norm, P.Metaspace(prepend_scheme="first"), D.Metaspace(prepend_scheme="first")))
    for name, norm in {"nfd": N.NFD(), "nfkc": N.NFKC(), "nfkd": N.NFKD(), "lower": N.Lowercase(), "strip": N.Strip(), "lstrip": N.Strip(True, False),
                       "accents": N.Sequence([N.NFD(), N.StripAccents()]), "nmt": N.Nmt(), "spaces": N.Replace(Regex(r"\s+"), " ")}.items():
        keep(f"norm-{name}", bpe(norm, P.ByteLevel(add_prefix_space=False), D.ByteLevel()))
    keep("norm-bytes", bpe(N.ByteLevel(), None, D.ByteLevel()))
    for name, pre in {"digits": P.Digits(), "punctuation": P.Punctuation("contiguous"), "whitespace": P.Whitespace(), "delimiter": P.CharDelimiterSplit("e"),
                      "fixed": P.FixedLength(3), "sequence": P.Sequence([P.WhitespaceSplit(), P.Punctuation(), P.Digits(True), P.Metaspace(
                          prepend_scheme="first")])}.items():
        keep(f"pre-{name}", bpe(None, pre))
    for behaviour in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for i, pattern in enumerate((r"\w+", r"[aeiou]?", r"^.|$", r"[^\W\d]+|\b", r"[\p{L}&&[^a-k]]+|[[:punct:]]")):
            keep(f"split-{behaviour}-{i}", byte_level(P.Sequence([split(pattern, behaviour, i % 2 == 1), BYTE_LEVEL]), size=300))


def other_models():
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    post = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    keep("unigram", train(models.Unigram(), trainer, N.Sequence([N.NFKC(), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(), D.Metaspace(), post))
    for name, norm in {"bert": N.BertNormalizer(), "bert-cased": N.BertNormalizer(lowercase=False)}.items():
        trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
        keep(name, train(models.WordPiece(unk_token="[UNK]"), trainer, norm, P.BertPreTokenizer(), D.WordPiece(),
                         processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))))
    trainer = trainers.WordLevelTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    keep("words", train(models.WordLevel(unk_token="<unk>"), trainer, N.Strip(), P.WhitespaceSplit()))


def charsmaps():
    """SentencePiece's precompiled map inside a tokenizer.json, as T5 and XLM-R have it."""
    blob = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS[0].split("\n") * 9), model_writer=blob, vocab_size=40, hard_vocab_limit=False,
                                             minloglevel=2)
    model = spm_pb.ModelProto()
    model.ParseFromString(blob.getvalue())
    precompiled = N.Precompiled(model.normalizer_spec.precompiled_charsmap)
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    keep("t5", train(models.Unigram(), trainer, N.Sequence([precompiled, N.Strip(False, True), N.Replace(Regex(" {2,}"), "▁")]), P.Metaspace(),
                     D.Metaspace()))
    keep("precompiled", bpe(precompiled))


def files():
    for name, pattern, norm, cls in (("files-gpt2", None, None, "GPT2Tokenizer"), ("files-qwen2", QWEN2, N.NFC(), "Qwen2TokenizerFast")):
        t = byte_level(P.Sequence([split(pattern), BYTE_LEVEL]) if pattern else P.ByteLevel(add_prefix_space=False), norm)
        where = folder(name)
        t.model.save(str(where))
        (where / "tokenizer_config.json").write_text(json.dumps({
            "tokenizer_class": cls, "added_tokens_decoder": {str(i): {"content": s, "special": True} for i, s in enumerate(SPECIAL)}}))
        record(name, ask(t, 2))


def sentencepieces():
    lines = [line for text in CORPUS for line in text.split("\n") if line.strip()]
    plain = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    kinds = {
        "bytes": {"byte_fallback": True, **plain},
        "nmt": {},
        "folded": {"normalization_rule_name": "nmt_nfkc_cf", "byte_fallback": True},
        "suffix": {"treat_whitespace_as_suffix": True},
        "user": {"add_dummy_prefix": False, "byte_fallback": True, "user_defined_symbols": ["<mask>", "zz"], **plain},
    }
    for model in ("bpe", "unigram"):
        for kind, options in kinds.items():
            blob = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=blob, vocab_size=500, hard_vocab_limit=False,
                                                     character_coverage=0.98, minloglevel=2, model_type=model, **options)
            sentencepiece_case(f"spm-{model}-{kind}", blob.getvalue())
            if kind == "nmt":
                sentencepiece_case(f"spm-{model}-unused", with_unused(blob.getvalue()))


def with_unused(blob):
    model, r = spm_pb.ModelProto(), random.Random(7)
    model.ParseFromString(blob)
    for piece in model.pieces:
        if piece.type == 1 and len(piece.piece) > 1 and r.random() < .3:
            piece.type = 5
    return model.SerializeToString()


def sentencepiece_case(name, blob):
    (folder(name) / "tokenizer.model").write_bytes(blob)
    sp = sentencepiece.SentencePieceProcessor(model_proto=blob)
    record(name, ({"text": s, "ids": None, "plain": sp.encode(s), "back": None} for s in strings(3) if "\x00" not in s))


def ranks():
    """Rank files of the sizes by which a family is known: trained tokens first, then joins of those."""
    t = byte_level(P.ByteLevel(add_prefix_space=False))
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    other = [b for b in range(256) if b not in plain]
    to_byte = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}
    vocab = sorted((i, s) for s, i in t.get_vocab().items() if s not in SPECIAL)
    trained = [bytes(to_byte[c] for c in s) for _, s in vocab]
    for name, size, pattern, special, file, nfc in (
            ("ranks-llama3", 128000, LLAMA3, {"<|begin_of_text|>": 128000, "<|eot_id|>": 128009}, "tokenizer.model", False),
            ("ranks-llama4", 200000, O200K, {"<|begin_of_text|>": 200000}, "tokenizer.model", False),
            ("ranks-qwen1", 151643, QWEN2, {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|extra_204|>": 151850}, "qwen.tiktoken", True)):
        tokens, seen, r = list(trained), set(trained), random.Random(5)
        while len(tokens) < size:
            joined = r.choice(tokens) + r.choice(tokens)
            if len(joined) < 40 and joined not in seen:
                tokens.append(joined)
                seen.add(joined)
        (folder(name) / file).write_text("".join(f"{base64.b64encode(b).decode()} {i}\n" for i, b in enumerate(tokens)))
        enc = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks={b: i for i, b in enumerate(tokens)}, special_tokens=special)
        if name == "ranks-llama4":
            tekken(tokens)
        texts = strings(4) + [f"hi{s} x" for s in special]
        record(name, ({"text": s, "ids": None, "back": None,
                       "plain": enc.encode(unicodedata.normalize("NFC", s) if nfc else s, allowed_special="all")} for s in texts))


def tekken(tokens):
    """The same ranks as Mistral writes them; special tokens move every id up by their number, and the size cuts the last ranks off."""
    size, special = 100000, 1000
    (folder("tekken") / "tekken.json").write_text(json.dumps({
        "config": {"pattern": O200K, "num_vocab_tokens": len(tokens), "default_vocab_size": size, "default_num_special_tokens": special, "version": "v3"},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(b).decode(), "token_str": None} for i, b in enumerate(tokens)]}))
    enc = tiktoken.Encoding("tekken", pat_str=O200K, mergeable_ranks={b: i for i, b in enumerate(tokens[:size - special])}, special_tokens={})
    texts = [s for s in strings(5) if "<s>" not in s and "</s>" not in s]
    record("tekken", ({"text": s, "ids": [1, *ids], "plain": ids, "back": s} for s in texts for ids in [[special + i for i in enc.encode(s)]]))


families()
parts()
other_models()
charsmaps()
files()
sentencepieces()
ranks()
