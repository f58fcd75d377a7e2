"""The runner as the daemon's child: what it tells of itself on the way, and what becomes of a model that it dies of."""
import array
import json
import pickle
import re
import shutil
import struct
import subprocess
import sys
import time

import pytest

from tests.system.conftest import ROOT
from tests.system.registry import BIN, Registry
from tests.system.test_smoke_kinds import build, change
from tests.system.test_smoke_runner import read_tensors, write_tensors

MODEL = ROOT / "tests/models/tiny-story"
REAL = BIN / "registryd-smoke"


def stub(where, inspect="", test="", head=""):
    """A runner that does something of its own where it inspects or tests, and is the real one else."""
    path = where / "runner"
    where.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""#!{sys.executable} -SE
import os, signal, sys, time
def tell(line):
    os.write(3, (line + "\\n").encode())
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
{head}
if "--inspect" in sys.argv:
    {inspect or "pass"}
else:
    {test or "pass"}
os.execv({str(REAL)!r}, [{str(REAL)!r}, *sys.argv[1:]])
""")
    path.chmod(0o755)
    return path


def registry(tmp_path, runner, settings=""):
    return Registry(tmp_path / "reg", settings=f"smoke: {{program: {runner}, device: cpu{settings}}}\n")


def phases_until(reg, pattern):
    """What a job says it is doing, until it says that."""
    end, seen = time.monotonic() + 60, []
    while time.monotonic() < end:
        for job in reg.json("jobs"):
            phase = (job.get("progress") or {}).get("phase")
            if phase and phase not in seen:
                seen.append(phase)
            if phase and re.search(pattern, phase):
                return seen
        time.sleep(0.02)
    raise AssertionError(f"no job said {pattern}: {seen}")


def test_progress_reaches_jobs(tmp_path):
    gate = tmp_path / "go"
    lines = ["open 0 0 2 3 b.gguf", "test 12 32 2 3 b.gguf"]
    runner = stub(tmp_path, test=f"[tell(x) for x in {lines!r}]; wait_for({str(gate)!r})")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", "--no-wait")
        phases_until(reg, r"^testing 12/32 layers of b\.gguf \(2 of 3\)$")
        assert "testing 12/32 layers" in reg.ctl("jobs").stdout
        gate.touch()
        until_done(reg)
        assert reg.json("show", "org/m")["state"] == "published"


def until_done(reg):
    end = time.monotonic() + 60
    while any(j["state"] in ("queued", "running") for j in reg.json("jobs")):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_watching_shows_it(tmp_path):
    gate = tmp_path / "go"
    runner = stub(tmp_path, test=f"tell('test 1 3 1 1 model.safetensors'); wait_for({str(gate)!r})")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", "--no-wait")
        watch = subprocess.Popen(reg.command("jobs", "--watch"), stdout=subprocess.PIPE, text=True)
        try:
            assert any("testing 1/3 layers of model.safetensors" in line for line in watch.stdout)
            gate.touch()
            assert any("published" in line for line in watch.stdout)
        finally:
            watch.kill()
            watch.wait()


@pytest.mark.parametrize("junk", [
    "b'test 12 32 2 3'", "b'test 33 32 1 1 a\\n'", "b'test 1 99999999999 1 1 a\\n'", "b'test -1 3 1 1 a\\n'", "b'dance 1 3 1 1 a\\n'", "b'\\xff\\x00\\n' * 5000",
    "b'x' * 60000 + b'\\n'", "b'test 1 3 4 3 a\\n'", "b'test 1 3 1 1 \\x1b[2J\\xff' + b'y' * 2000 + b'\\n'"])
def test_what_it_tells_is_foreign_input(tmp_path, junk):
    """Nonsense is passed over, and a flood of it holds nobody up."""
    runner = stub(tmp_path, test=f"os.set_blocking(3, True); [os.write(3, {junk}) for _ in range(50)]")
    with registry(tmp_path, runner) as reg:
        reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0")
        assert reg.json("show", "org/m")["state"] == "published"


def rejected(reg, code):
    reg.ctl("import", MODEL, "--as", "org/m", "--license", "apache-2.0", code=code)
    return reg.json("show", "org/m")


@pytest.mark.parametrize("number", [4, 6, 7, 8, 9, 11, 31])
def test_dying_of_a_file_rejects_it(tmp_path, number):
    runner = stub(tmp_path, inspect=f"tell('inspect 0 0 5 0 model.safetensors'); os.kill(os.getpid(), {number})")
    with registry(tmp_path, runner) as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected"
        finding = next(f for f in shown["findings"] if f["rule"] == "inspector-crash")
        assert finding["path"] == "model.safetensors" and finding["severity"] == "reject"
        assert re.match(rf"inspector stopped by signal {number} \(.*\) at inspecting model\.safetensors", finding["message"])
        assert f"inspector stopped by signal {number}" in reg.ctl("why", "org/m").stdout


def test_dying_while_it_runs_the_model_rejects_it(tmp_path):
    runner = stub(tmp_path, test="tell('test 1 3 1 1 model.safetensors'); print('half a report', flush=True); os.kill(os.getpid(), 11)")
    with registry(tmp_path, runner) as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected" and shown["smoke"]["verdict"] == "fail"
        assert shown["smoke"]["reasons"][0].startswith("inspector stopped by signal 11 (Segmentation fault) at testing 1/3 layers of model.safetensors")


def test_being_killed_while_it_runs_the_model_holds_it(tmp_path):
    """So the kernel ends a process where memory is short, which a sound model may be too large for."""
    with registry(tmp_path, stub(tmp_path, test="os.kill(os.getpid(), 9)")) as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "held" and shown["smoke"]["verdict"] == "error" and "stopped by signal 9" in shown["smoke"]["reasons"][0]


def test_reading_without_end_rejects(tmp_path):
    runner = stub(tmp_path, inspect="tell('inspect 0 0 5 0 model.safetensors'); time.sleep(600)")
    with registry(tmp_path, runner, ", timeout: 1s") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "rejected"
        assert any("inspector stopped by signal 9 after 1 s at inspecting model.safetensors" in f["message"] for f in shown["findings"])


def test_a_test_without_end_holds(tmp_path):
    """A model may be too large for this machine, and sound."""
    runner = stub(tmp_path, test="tell('test 2 3 1 1 model.safetensors'); time.sleep(600)")
    with registry(tmp_path, runner, ", timeout: 2s") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "held" and shown["smoke"]["verdict"] == "error"
        assert "after 2 s at testing 2/3 layers of model.safetensors" in shown["smoke"]["reasons"][0]


def test_memory_has_a_limit_while_reading_too(tmp_path):
    where = shutil.copytree(MODEL, tmp_path / "m")
    (where / "vocab.json").write_text(json.dumps({f"token {i}": i for i in range(1500000)}))     # takes long enough to be looked at
    with registry(tmp_path, REAL, ", memory: 20MB") as reg:
        reg.ctl("import", where, "--as", "org/m", code=5)
        shown = reg.json("show", "org/m")
        assert shown["state"] == "rejected"
        finding = next(f for f in shown["findings"] if f["rule"] == "inspect.limit")
        assert finding["path"] == "vocab.json" and "of memory" in finding["message"] and finding["severity"] == "reject"


def test_a_runner_that_can_not_start_says_nothing_about_the_model(tmp_path):
    with registry(tmp_path, tmp_path / "nothing-here") as reg:
        shown = rejected(reg, 5)
        assert shown["state"] == "held"


# ---- what is not run, and policy --------------------------------------------------------------------------------------

def bring(reg, where, name, code=0, task=None, base=None, relation=None):
    """Imports a directory with a card."""
    card = ["license: apache-2.0"] + [f"pipeline_tag: {task}"] * bool(task) + [f"base_model: {base}"] * bool(base) + [f"base_model_relation: {relation}"] * bool(relation)
    (where / "README.md").write_text("---\n" + "\n".join(card) + "\n---\nA model.\n")
    reg.ctl("import", where, "--as", name, code=code)
    return reg.json("show", name)


POLICY = "smoke: {for: [{task: feature-extraction, require: inspect}, {task: adapter, require: inspect}]}\n"


def test_policy_publishes_by_task_on_structure_and_statistics(tmp_path):
    with Registry(tmp_path / "reg", policy=POLICY) as reg:
        shown = bring(reg, build(tmp_path / "a", "bert"), "org/encoder", task="feature-extraction")
        assert shown["state"] == "published" and shown["smoke"]["verdict"] == "not_run"
        assert any("built as its configuration demands" in r for r in shown["smoke"]["reasons"])
        assert "built as its configuration demands" in reg.ctl("show", "org/encoder").stdout
        shown = bring(reg, build(tmp_path / "b", "bert-cross-encoder"), "org/reranker", code=5, task="text-classification")
        assert shown["state"] == "held" and "not run: task" in shown["reason"], "no policy speaks of this task"


def test_damage_is_found_where_inspection_is_enough(tmp_path):
    with Registry(tmp_path / "reg", policy=POLICY) as reg:
        where = build(tmp_path / "a", "bert")
        change(where, "bert", "encoder.layer.1.output.dense.weight", lambda tensors, t: tensors.pop(t))
        shown = bring(reg, where, "org/encoder", code=5, task="feature-extraction")
        assert shown["state"] == "rejected" and "encoder.layer.1.output.dense.weight is missing" in shown["reason"]
        assert any(f["rule"] == "shape.missing" for f in shown["findings"])


def test_task_is_read_from_the_files_where_nobody_says_it(tmp_path):
    with Registry(tmp_path / "reg", policy=POLICY) as reg:
        assert bring(reg, build(tmp_path / "a", "bert"), "org/encoder")["task"] == "feature-extraction"
        assert bring(reg, build(tmp_path / "b", "lora"), "org/adapter")["task"] == "adapter"


def test_a_text_model_is_not_run_where_inspection_is_enough(tmp_path):
    with Registry(tmp_path / "reg", policy=POLICY) as reg:
        where = shutil.copytree(MODEL, tmp_path / "m")
        shown = bring(reg, where, "org/m", task="feature-extraction")
        assert shown["state"] == "published" and shown["smoke"]["verdict"] == "not_run" and shown["smoke"]["bits_per_byte"] is None


# ---- several artefacts --------------------------------------------------------------------------------------------------

def consolidated(tensors, heads, kv):
    """The same weights as the author's own program names and orders them: neighbours of a head are a pair."""
    names = {"model.embed_tokens": "tok_embeddings", "model.norm": "norm", "lm_head": "output", "input_layernorm": "attention_norm",
             "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
             "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2",
             "model.layers": "layers"}
    out = {}
    for name, (dtype, shape, raw) in tensors.items():
        n = heads if "q_proj" in name else kv if "k_proj" in name else 0
        if n:
            row, size = len(raw) // shape[0], shape[0] // n
            order = [h * size + half * size // 2 + i for h in range(n) for i in range(size // 2) for half in (0, 1)]
            raw = b"".join(raw[r * row:(r + 1) * row] for r in order)
        for old, new in names.items():
            name = name.replace(old, new)
        out[name] = dtype, shape, raw
    return out


def several(tmp_path):
    """One model in four forms: as it is, in half precision, as the author's program has it, and a part of it."""
    where = shutil.copytree(MODEL, tmp_path / "m")
    tensors = read_tensors(where / "model.safetensors")
    config = json.loads((where / "config.json").read_text())

    def half(raw):
        wide = array.array("f", b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2)))
        return struct.pack(f"<{len(wide)}e", *wide)
    write_tensors(where / "model.fp16.safetensors", {n: ("F16", s, half(raw)) for n, (_, s, raw) in tensors.items()})
    write_tensors(where / "consolidated.safetensors", consolidated(tensors, config["num_attention_heads"], config["num_key_value_heads"]))
    write_tensors(where / "mm_projector.safetensors", {"linear.weight": ("F32", [2, 2], struct.pack("<4f", 1, 2, 3, 4))})
    return where


def test_each_artefact_has_a_verdict(tmp_path):
    with Registry(tmp_path / "reg") as reg:
        shown = bring(reg, several(tmp_path), "org/m")
        assert shown["state"] == "published", shown["smoke"]
        found = {a["file"]: a["verdict"] for a in shown["smoke"]["artefacts"]}
        assert found == {"model.safetensors": "pass", "model.fp16.safetensors": "pass", "consolidated.safetensors": "pass", "mm_projector.safetensors": "not_run"}
        assert shown["smoke"]["artefacts"][1]["compared"] == ["agrees with model.safetensors"]
        text = reg.ctl("show", "org/m").stdout
        assert all(name in text for name in found)


def damage(where, file):
    tensors = read_tensors(where / file)
    name = next(n for n in tensors if "q_proj" in n or "wq" in n)
    dtype, (rows, cols), raw = tensors[name]
    tensors[name] = dtype, [rows, cols], raw[len(raw) // 2:] + raw[:len(raw) // 2]
    write_tensors(where / file, tensors)


@pytest.mark.parametrize("file", ["model.fp16.safetensors", "consolidated.safetensors"])
def test_one_bad_artefact_is_the_whole_and_leaving_it_out_heals_it(tmp_path, hub, file):
    where = several(tmp_path)
    damage(where, file)
    (where / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    hub.add_model("org/m", {p.name: p.read_bytes() for p in where.iterdir()})
    with Registry(tmp_path / "reg", upstream=hub.url) as reg:
        reg.ctl("sync", "org/m", code=5)
        shown = reg.json("show", "org/m")
        assert shown["state"] == "rejected" and shown["smoke"]["verdict"] == "fail" and shown["smoke"]["reasons"][0].startswith(file + ": ")
        assert {a["file"]: a["verdict"] for a in shown["smoke"]["artefacts"]}[file] == "fail"
        reg.ctl("sync", "org/m", "--exclude", file)
        shown = reg.json("show", "org/m")
        assert shown["state"] == "published" and file not in {a["file"] for a in shown["smoke"]["artefacts"]}


# ---- against earlier runs -----------------------------------------------------------------------------------------------

def test_same_weights_that_say_something_else_are_held(tmp_path):
    """A new revision changes only the configuration, and with it what the model says: quiet damage, or a repair. A person decides."""
    where = shutil.copytree(MODEL, tmp_path / "m")
    with Registry(tmp_path / "reg") as reg:
        bring(reg, where, "org/m")
        config = json.loads((where / "config.json").read_text())
        (where / "config.json").write_text(json.dumps({**config, "architectures": config["architectures"], "_name_or_path": "org/m"}))
        shown = bring(reg, where, "org/m")
        assert shown["state"] == "published" and shown["smoke"]["compared"][0].startswith("agrees with org/m@")
        (where / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
        shown = bring(reg, where, "org/m", code=5)
        assert shown["state"] == "held" and shown["smoke"]["verdict"] == "pass" and "reference" in shown["reason"]
        reg.ctl("publish", "org/m", "--reason", "meant so")
        assert reg.json("show", "org/m")["state"] == "published"


def beside(where):
    (where / "training_args.bin").write_bytes(pickle.dumps({"lr": 1e-4}))


def saved_again(where):
    write_tensors(where / "model.safetensors", dict(reversed(read_tensors(where / "model.safetensors").items())))


def cut(where):
    tensors = read_tensors(where / "model.safetensors")
    (where / "model.safetensors").unlink()
    weight_map = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for file in set(weight_map.values()):
        write_tensors(where / file, {n: t for n, t in tensors.items() if weight_map[n] == file})
    (where / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


# Reports of old do not say which weights they are of; then the files tell.
OF_OLD = f"""import json, subprocess
    out = json.loads(subprocess.run([{str(REAL)!r}, *sys.argv[1:]], stdout=subprocess.PIPE, pass_fds=(3,)).stdout)
    out["fingerprint"].pop("weights", None)
    print(json.dumps(out))
    sys.exit(0)"""


def other_epsilon(where):
    config = where / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "rms_norm_eps": 1e-3}))


def no_beginning(where):
    tokenizer = where / "tokenizer.json"
    tokenizer.write_text(json.dumps({**json.loads(tokenizer.read_text()), "post_processor": None}))
    (where / "tokenizer_config.json").unlink()


@pytest.mark.parametrize("change, runner", [(beside, None), (beside, OF_OLD), (saved_again, None), (cut, None)])
def test_same_weights_in_other_files_are_the_same(tmp_path, change, runner):
    """What is served lies in other files in the next revision, which alone is nothing, and does not hide what else was changed."""
    with registry(tmp_path, stub(tmp_path / "stub", test=runner or "")) as reg:
        for name, damage, reason in (("org/a", None, None), ("org/b", other_epsilon, "the loss is"), ("org/c", no_beginning, "other token ids")):
            where = shutil.copytree(MODEL, tmp_path / name)
            bring(reg, where, name)
            change(where)
            if damage:
                damage(where)
            shown = bring(reg, where, name, code=5 if damage else 0)
            assert shown["state"] == ("held" if damage else "published"), (name, shown["reason"])
            assert shown["smoke"]["compared"][0].startswith(f"{'differs from' if damage else 'agrees with'} {name}@") and (reason or "") in shown["reason"]


def test_same_weights_under_several_configurations_are_held_each_against_its_own(tmp_path):
    """Another folder with them is one more model; one that was renamed is what it was, and what else was changed in it counts."""
    where = shutil.copytree(MODEL, tmp_path / "m")
    with registry(tmp_path, stub(tmp_path / "stub")) as reg:
        bring(reg, where, "org/m")
        config = json.loads((MODEL / "config.json").read_text())
        for folder, yarn in (("long", 1.5), ("longer", 3)):
            shutil.copytree(MODEL, where / folder)
            scaling = {"rope_type": "yarn", "factor": yarn, "original_max_position_embeddings": 512}
            (where / folder / "config.json").write_text(json.dumps({**config, "rope_scaling": scaling}))
        assert bring(reg, where, "org/m")["state"] == "published"
        for folder in ("long", "longer"):
            (where / folder).rename(where / f"ctx-{folder}")
        shown = bring(reg, where, "org/m")
        assert shown["state"] == "published", shown["reason"]
        assert all(a["compared"][0].startswith("agrees with org/m@") for a in shown["smoke"]["artefacts"])
        (where / "ctx-longer").rename(where / "longest")
        other_epsilon(where / "longest")
        shown = bring(reg, where, "org/m", code=5)
        assert shown["state"] == "held" and "the loss is" in shown["reason"]


def test_other_weights_may_differ_but_not_be_worse(tmp_path):
    where = shutil.copytree(MODEL, tmp_path / "m")
    good = read_tensors(where / "model.safetensors")
    with Registry(tmp_path / "reg") as reg:
        bring(reg, where, "org/m")
        dtype, shape, raw = good["model.norm.weight"]
        good["model.norm.weight"] = dtype, shape, raw[:-2] + raw[:2]
        write_tensors(where / "model.safetensors", good)
        assert bring(reg, where, "org/m")["state"] == "published"
        name = "model.layers.1.mlp.up_proj.weight"  # a part of one matrix, at which the sample of its bytes does not look
        dtype, shape, raw = good[name]
        tuned = bytes(b | 8 if 8300 < i < 11000 and i % 2 == 0 else b for i, b in enumerate(raw))
        write_tensors(where / "model.safetensors", {**good, name: (dtype, shape, tuned)})
        assert bring(reg, where, "org/m")["state"] == "published"
        damage(where, "model.safetensors")
        shown = bring(reg, where, "org/m", code=5)
        assert shown["state"] == "held" and shown["smoke"]["verdict"] == "pass" and "worse" in shown["reason"]


@pytest.mark.parametrize("relation, state", [("quantized", "rejected"), ("finetune", "published")])
def test_what_was_quantised_must_say_what_its_original_says(tmp_path, relation, state):
    with Registry(tmp_path / "reg") as reg:
        bring(reg, shutil.copytree(MODEL, tmp_path / "base"), "org/base")
        where = several(tmp_path)
        for name in ("model.safetensors", "consolidated.safetensors", "mm_projector.safetensors"):
            (where / name).unlink()
        (where / "model.fp16.safetensors").rename(where / "model.safetensors")
        shown = bring(reg, where, "org/half", base="org/base", relation=relation)
        assert shown["state"] == "published"
        assert ("compared" in shown["smoke"]) == (relation == "quantized")
        damage(where, "model.safetensors")
        shown = bring(reg, where, "org/other", base="org/base", relation=relation, code=5 if state == "rejected" else 0)
        assert shown["state"] == state
