"""registryd-smoke by hand: recorded figures on known models, clear answers on everything else."""
import bisect
import json
import os
import shutil
import struct
import subprocess

import pytest

from tests.system.conftest import ROOT
from tests.system.mutate import Model
from tests.system.registry import BIN

SMOKE = BIN / "registryd-smoke"
LAYOUTS = ["hf-f32", "hf-bf16", "hf-f16-sharded-spm", "as-qwen2", "as-gemma", "as-phi3", "as-mixtral"]
ARCHS = ["llama-untied", "mixtral", "qwen2", "qwen2moe", "gemma", "gemma2", "p3-longrope", "starcoder2", "starcoder", "gpt2", "bloom", "grok", "qwen1",
         "phi2-parallel", "phimoe", "deepseek2-v2", "deepseek2-v3"]
EXIT = {"pass": 0, "fail": 6, "not_run": 5, "error": 1}


def smoke(*args, env=None):
    done = subprocess.run([SMOKE, "--json", *map(str, args)], capture_output=True, text=True, timeout=120, env=env)
    assert done.stdout, f"no report; status {done.returncode}, stderr: {done.stderr[-2000:]}"
    return done, json.loads(done.stdout)


@pytest.fixture(scope="module")
def stories(shared):
    return shared / "data/models/stories260K"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_trained_model(stories, layout):
    want = json.loads((stories / "expected.json").read_text())
    done, report = smoke("--text", stories / "text.txt", stories / layout)
    assert done.returncode == 0 and report["verdict"] == "pass", report
    assert report["tokens"] == want["token_ids"]
    assert report["loss_nats_per_token"] == pytest.approx(want["models"][layout]["mean_loss"], rel=1e-4)
    assert report["greedy_text"] == want["models"][layout]["greedy_text"]
    assert report["sandbox"]["seccomp"] and report["sandbox"]["no_new_privs"]


def test_built_in_text(stories):
    done, report = smoke(stories / "hf-f32")
    assert done.returncode == 0 and 0 < report["bits_per_byte"] < 1.5
    again = smoke("--threads", 1, stories / "hf-f32")[1]
    assert again["fingerprint"] == report["fingerprint"], "the same model gives the same fingerprint, whatever the number of threads"


@pytest.mark.parametrize("arch", ARCHS)
def test_architecture(shared, tmp_path, arch):
    archs = shared / "data/models/archs"
    want = json.loads((archs / "expected.json").read_text())
    (tmp_path / "text").write_text(want["text"])
    done, report = smoke("--perplexity-chunk", 128, "--text", tmp_path / "text", archs / f"{arch}.gguf")
    assert report["perplexity"] == pytest.approx(want["models"][arch]["ppl"], rel=1e-3)
    assert done.returncode == EXIT[report["verdict"]] == 6, "random weights are not fit to publish"


def test_quantised_ggufs(stories):
    for name, want in json.loads((stories / "expected-gguf.json").read_text())["files"].items():
        if (stories / "gguf" / name).exists():
            report = smoke("--text", stories / "text.txt", stories / "gguf" / name)[1]
            assert report["loss_nats_per_token"] == pytest.approx(want["mean_loss"], rel=5e-3), name


def read_tensors(path):
    """{name: (dtype, shape, bytes)} of a safetensors file, in the order of its header."""
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]) for name, t in header.items()}


def write_tensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values()))


def copy(stories, tmp_path):
    where = tmp_path / "m"
    shutil.copytree(stories / "hf-f32", where)
    for path in [where, *where.iterdir()]:
        os.chmod(path, 0o755)
    return where


def edit_config(where, **keys):
    config = json.loads((where / "config.json").read_text())
    config.update(keys)
    (where / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != "absent"}))


@pytest.mark.parametrize("keys, verdict, words", [
    ({"architectures": ["MambaForCausalLM"]}, "not_run", "not run: architecture MambaForCausalLM"),
    ({"architectures": ["SomeModel"]}, "not_run", "not run: task feature-extraction"),
    ({"architectures": ["BertModel"]}, "fail", "embeddings.word_embeddings.weight is missing"),
    ({"rope_scaling": {"rope_type": "spiral", "factor": 2}}, "not_run", "spiral"),
    ({"hidden_act": "snake"}, "not_run", "snake"),
    ({"attention_multiplier": 0.5}, "fail", "attention_multiplier"),
    ({"num_hidden_layers": 6}, "fail", "model.layers.5"),
    ({"num_hidden_layers": 4}, "fail", "model.layers.4"),
    ({"hidden_size": 128}, "fail", "shape"),
    ({"num_attention_heads": 7}, "fail", "7"),
    ({"num_hidden_layers": -1}, "fail", "num_hidden_layers"),
    ({"tie_word_embeddings": False}, "fail", "lm_head"),
    ({"vocab_size": 256}, "fail", "shape"),
    ({"eos_token_id": [2, 512]}, "fail", "eos_token_id 512"),
    ({"rms_norm_eps": "small"}, "fail", "rms_norm_eps"),
    ({"rms_norm_eps": 0.02}, "fail", "norm epsilon of 0.02"),
])
def test_configuration(stories, tmp_path, keys, verdict, words):
    where = copy(stories, tmp_path)
    edit_config(where, **keys)
    done, report = smoke(where)
    assert report["verdict"] == verdict and done.returncode == EXIT[verdict], report
    assert words in " ".join(report["reasons"])


def test_nan_is_found(stories, tmp_path):
    where = copy(stories, tmp_path)
    weights = where / "model.safetensors"
    data = bytearray(weights.read_bytes())
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    at = start + header["model.layers.2.mlp.down_proj.weight"]["data_offsets"][0] + 400
    data[at:at + 4] = struct.pack("<f", float("nan"))
    weights.write_bytes(data)
    done, report = smoke(where)
    assert done.returncode == 6 and "not finite" in " ".join(report["reasons"])


def test_nan_is_found_without_running(stories, tmp_path):
    where = copy(stories, tmp_path)
    edit_config(where, architectures=["SomethingModel"])
    done, report = smoke(where)
    assert done.returncode == 5 and report["reasons"][0] == "not run: task feature-extraction" and report["params"] == 260032
    weights = where / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + struct.pack("<f", float("inf")))
    done, report = smoke(where)
    assert done.returncode == 6 and "not finite" in " ".join(report["reasons"])
    assert {f["rule"] for f in report["findings"]} == {"stats.nonfinite"}


def test_truncated_file(stories, tmp_path):
    where = copy(stories, tmp_path)
    weights = where / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done, report = smoke(where)
    assert done.returncode == 6 and report["findings"][0]["rule"] == "st.truncated"
    done, report = smoke("--inspect", where)
    assert done.returncode == 6 and report["verdict"] == "reject"
    assert {"path": "model.safetensors", "format": "safetensors", "verdict": "reject"} in report["files"]


def test_inspect(stories):
    done, report = smoke("--inspect", stories / "hf-f16-sharded-spm")
    assert done.returncode == 0 and report["verdict"] == "accept" and report["findings"] == []
    assert len([f for f in report["files"] if f["format"] == "safetensors"]) == 3
    assert report["dtypes"] == {"F16": report["params"]} and report["architecture"] == "LlamaForCausalLM"


def test_parameters_of_several_sets_of_weights(tmp_path):
    """The same model in other places and precisions is no more parameters; the parts of a pipeline are."""
    def inspect(where):
        return json.loads(subprocess.run([SMOKE, "--inspect", "--json", where], capture_output=True, text=True, timeout=60).stdout)
    one = tmp_path / "one"
    shutil.copytree(ROOT / "tests/models/tiny-story", one)
    n = inspect(one)["params"]
    assert n > 100_000
    for copy in "original/model.safetensors", "model.fp16.safetensors", "x/y/model.safetensors":
        (one / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one / "model.safetensors", one / copy)
    assert inspect(one)["params"] == n
    tensors = read_tensors(one / "model.safetensors")
    half = len(tensors) // 2
    write_tensors(one / "model-00001-of-00002.safetensors", dict(list(tensors.items())[:half]))
    write_tensors(one / "model-00002-of-00002.safetensors", dict(list(tensors.items())[half:]))
    for extra in "original", "x":
        shutil.rmtree(one / extra)
    (one / "model.safetensors").unlink(), (one / "model.fp16.safetensors").unlink()
    assert inspect(one)["params"] == n
    pipe = tmp_path / "pipe"
    for part in "unet", "vae":
        (pipe / part).mkdir(parents=True)
        shutil.copy(ROOT / "tests/models/tiny-story/model.safetensors", pipe / part / "diffusion_pytorch_model.safetensors")
        shutil.copy(ROOT / "tests/models/tiny-story/model.safetensors", pipe / part / "diffusion_pytorch_model.fp16.safetensors")
    (pipe / "model_index.json").write_text("{}")
    assert inspect(pipe)["params"] == 2 * n


def test_quantisation_of_a_gguf(stories):
    """By its tensors, where all of a repository's agree."""
    assert json.loads(subprocess.run([SMOKE, "--inspect", "--json", stories / "gguf/wide-IQ4_XS.gguf"], capture_output=True, text=True).stdout)["quantization"] == "IQ4_XS"
    assert "quantization" not in json.loads(subprocess.run([SMOKE, "--inspect", "--json", stories / "gguf"], capture_output=True, text=True).stdout)


def test_no_weights(tmp_path):
    done, report = smoke(tmp_path)
    assert done.returncode == 5 and report["verdict"] == "not_run"


def test_a_directory_without_weights_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    done = subprocess.run([SMOKE, tmp_path / "empty"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 5 and done.stdout.startswith(f"{tmp_path / 'empty'}: not_run\n")


@pytest.mark.parametrize("args", [["/nonexistent"], ["--inspect", "/nonexistent/model.gguf"], ["--text", "/nonexistent", "/"]])
def test_what_does_not_exist_is_4(args):
    done = subprocess.run([SMOKE, *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4 and "does not exist" in done.stderr and done.stderr.count("\n") == 1


def test_usage(stories):
    for args in (["--nonsense", stories], [], ["--device", "tpu", stories], ["--perplexity-chunk", "0", stories]):
        done = subprocess.run([SMOKE, *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, args


def test_limits(stories, tmp_path):
    where = sparse(stories, tmp_path / "m", layers=8, dim=4096, ff=16384)
    done, report = smoke("--memory", "1M", where)
    assert done.returncode == 1 and report["verdict"] == "error" and "of memory; 1.0 MB are allowed" in report["reasons"][0]
    done, report = smoke("--timeout", "1s", "--threads", "1", where)
    assert done.returncode == 1 and report["verdict"] == "error" and "too long" in report["reasons"][0]


def sparse(stories, where, layers, dim, ff, heads=()):
    """A Llama of zeros that takes no room on the disk."""
    where.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(stories / "hf-f32" / name, where)
    config = json.loads((stories / "hf-f32" / "config.json").read_text())
    config.update(hidden_size=dim, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=32, num_key_value_heads=8, head_dim=dim // 32)
    (where / "config.json").write_text(json.dumps(config))
    shapes = {"model.norm": [dim], **{name: [512, dim] for name in ("model.embed_tokens", *heads)}}
    for i in range(layers):
        shapes.update({f"model.layers.{i}.{k}": v for k, v in {
            "input_layernorm": [dim], "post_attention_layernorm": [dim], "self_attn.q_proj": [dim, dim], "self_attn.o_proj": [dim, dim],
            "self_attn.k_proj": [dim // 4, dim], "self_attn.v_proj": [dim // 4, dim], "mlp.gate_proj": [ff, dim], "mlp.up_proj": [ff, dim],
            "mlp.down_proj": [dim, ff]}.items()})
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name + ".weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(where / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)
    return where


def test_memory_does_not_grow_with_the_model(stories, tmp_path):
    where = sparse(stories, tmp_path / "m", layers=4, dim=4096, ff=16384)
    size, ours = (where / "model.safetensors").stat().st_size, b"x" * 150_000_000       # what is ours is not counted as its
    done, report = smoke("--tokens", 8, where)
    assert len(ours) > 100e6 and size > 1.8e9 and report["peak_bytes"] < 100e6, (size, report["peak_bytes"])
    assert report["verdict"] == "fail" and any(f["rule"] == "stats.zero" for f in report["findings"])


def test_a_stored_head_makes_no_text_shorter(stories, tmp_path):
    """How much of the text a model reads does not depend on whether the head that it ties to its embedding is stored once more."""
    report = smoke(stories / "hf-f32")[1]
    (tmp_path / "reference.json").write_text(json.dumps({**report, "prompt_tokens": 7}))
    said = set()
    for extra in ((), ("lm_head",)):
        where = sparse(stories, tmp_path / f"m{len(extra)}", layers=1, dim=4096, ff=8192, heads=extra)
        done, other = smoke("--reference", tmp_path / "reference.json", where)
        assert done.returncode == 1 and "the reference is of a run over 7 tokens" in other["reasons"][0], other["reasons"]
        said.add(other["reasons"][0])
    n = int(said.pop().split("this one is over ")[1].split(":")[0])
    assert not said and 64 < n < report["prompt_tokens"]


def e4m3_value(code):
    exponent, mantissa = code >> 3, code & 7
    return (8 + mantissa) / 8 * 2.0 ** (exponent - 7) if exponent else mantissa / 8 * 2.0 ** -6


def write_quantised(model, where, config, linear):
    """The model with its linear weights as linear(name, shape, values) gives them: (name, dtype, shape, bytes) each."""
    where.mkdir()
    header, at, parts = {}, 0, []
    for name, (shape, data) in model.tensors.items():
        for part, dtype, dims, raw in linear(name, shape, data) if "proj" in name else [(name, "F32", shape, data.tobytes())]:
            header[part] = {"dtype": dtype, "shape": dims, "data_offsets": [at, at + len(raw)]}
            at += len(raw)
            parts.append(raw)
    model.config["quantization_config"] = config
    text = json.dumps(header).encode()
    (where / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    (where / "config.json").write_text(json.dumps(model.config))
    (where / "tokenizer.json").write_text(json.dumps(model.tokenizer))
    for name, raw in model.others.items():
        (where / name).write_bytes(raw)
    return where


def write_fp8(model, where, scales):
    """FP8 with a scale each 128 x 128 (here: one for the whole matrix), as DeepSeek-V3 has them."""
    codes = sorted((e4m3_value(c), c) for c in range(127))
    values = [v for v, _ in codes]

    def code(v):
        i = bisect.bisect_left(values, abs(v))
        near = min(codes[max(i - 1, 0):i + 1], key=lambda c: abs(c[0] - abs(v)))[1]
        return near | (128 if v < 0 else 0)

    def linear(name, shape, data):
        blocks = [-(-n // 128) for n in shape]
        scale = max(abs(v) for v in data) / 448
        yield name, "F8_E4M3", shape, bytes(code(v / scale) for v in data)
        if scales:
            yield name + "_scale_inv", "F32", blocks, struct.pack(f"<{blocks[0] * blocks[1]}f", *[scale] * (blocks[0] * blocks[1]))

    return write_quantised(model, where, {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}, linear)


def write_gptq(model, where):
    """GPTQ with 8 bits and one group: qweight [in / 4, out], zeros 128 stored as 127, a scale each output."""
    def linear(name, shape, data):
        base, (n_out, n_in) = name[:-len("weight")], shape
        scale = [max(abs(v) for v in data[o * n_in:(o + 1) * n_in]) / 127 for o in range(n_out)]
        code = lambda o, i: max(0, min(255, round(data[o * n_in + i] / scale[o]) + 128))    # noqa: E731
        words = (code(o, i) | code(o, i + 1) << 8 | code(o, i + 2) << 16 | code(o, i + 3) << 24 for i in range(0, n_in, 4) for o in range(n_out))
        yield base + "qweight", "I32", [n_in // 4, n_out], struct.pack(f"<{n_in // 4 * n_out}I", *words)
        yield base + "qzeros", "I32", [1, n_out // 4], struct.pack(f"<{n_out // 4}I", *[0x7F7F7F7F] * (n_out // 4))
        yield base + "scales", "F32", [1, n_out], struct.pack(f"<{n_out}f", *scale)
        yield base + "g_idx", "I32", [n_in], struct.pack(f"<{n_in}i", *[0] * n_in)

    return write_quantised(model, where, {"quant_method": "gptq", "bits": 8, "group_size": -1, "desc_act": False, "sym": True}, linear)


def test_gptq(stories, tmp_path):
    report = smoke("--text", stories / "text.txt", write_gptq(Model(stories / "hf-f32"), tmp_path / "m"))[1]
    assert report["verdict"] == "pass", report["reasons"]
    assert report["loss_nats_per_token"] == pytest.approx(0.98759, abs=0.01), "eight bits cost next to nothing"


def test_fp8_blocks(stories, tmp_path):
    report = smoke("--text", stories / "text.txt", write_fp8(Model(stories / "hf-f32"), tmp_path / "m", scales=True))[1]
    assert report["verdict"] == "pass", report["reasons"]
    assert report["loss_nats_per_token"] == pytest.approx(0.98759, abs=0.05), "three bits of mantissa cost a little"


def test_fp8_without_scales_is_an_error(stories, tmp_path):
    done, report = smoke(write_fp8(Model(stories / "hf-f32"), tmp_path / "m", scales=False))
    assert done.returncode == 6 and "scale" in " ".join(report["reasons"])
