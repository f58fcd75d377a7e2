"""registryd-smoke --inspect on files made here with the standard library: what the corpus does not have, and harmless neighbours of it."""
import gzip
import io
import json
import pickle
import struct
import subprocess
import tarfile
import zipfile

import pytest

from tests.system.registry import BIN

GOOD = pickle.dumps({"a": 1}, 2)
CALL = b"cposix\nsystem\n(S'true'\ntR."
EVIL = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."


def tar(*members, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def hard_link():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        info = tarfile.TarInfo("a")
        info.type, info.linkname = tarfile.LNKTYPE, "/etc/passwd"
        t.addfile(info)
    return out.getvalue()


def unpickled_tar():
    """The first member's name is a short string that ends among the fields behind it, and another jumps from there into the member."""
    out = bytearray(tar(("U\u00e9", b"{}" + CALL), format=tarfile.GNU_FORMAT))
    out[197:202] = b"T" + struct.pack("<I", 512 + 2 - 202)
    out[148:156] = b"%06o\0 " % (sum(out[:148]) + 8 * 32 + sum(out[156:512]))
    return bytes(out)


def archive(*members, packed=False):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


PLAIN = archive(("a/config.json", "{}"), ("a/b.txt", "hi"), packed=True)


def changed(data, signature, offset, value):
    out = bytearray(data)
    out[out.find(signature) + offset] ^= value
    return bytes(out)


def npy(descr, shape, data):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def proto(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def saved_model(op):
    return b"\x08\x01" + proto(2, proto(2, proto(1, proto(1, b"n") + proto(2, op))))


def keras(**layer):
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "registered_name": None}
    return archive(("metadata.json", "{}"), ("config.json", json.dumps(config)), ("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(32)))


def template(text):
    return json.dumps({"chat_template": text}).encode()


def pipeline(**parts):
    return json.dumps({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.31.0", **parts}).encode()


def imatrix(*values):
    """One entry, the number of chunks, and the name of the text."""
    return struct.pack("<ii3sii", 1, 3, b"abc", 7, len(values)) + struct.pack(f"<{len(values)}f", *values) + struct.pack("<ii5s", 7, 5, b"a.txt")


CONSTANTS = bytes(range(255, 0, -1)) * 4

CASES = [
    # name, bytes, verdict, rule
    ("torch_tar.pth", tar(("sys_info", GOOD), ("pickle", EVIL), ("storages", GOOD), ("tensors", GOOD)), "reject", "pickle.dangerous"),
    ("torch_tar_good.pth", tar(("sys_info", GOOD), ("pickle", GOOD), ("storages", GOOD), ("tensors", GOOD)), "flag", "torch.tar"),
    ("absolute.tar", tar(("/etc/x", b"a")), "reject", "path.absolute"),
    ("pax.tar", tar(("../" * 60 + "x", b"a"), format=tarfile.PAX_FORMAT), "reject", "path.dotdot"),
    ("gnu.tar", tar(("../" * 60 + "x", b"a"), format=tarfile.GNU_FORMAT), "reject", "path.dotdot"),
    ("hard_link.tar", hard_link(), "reject", "path.symlink"),
    ("member.tar", tar(("m/a.json", EVIL)), "reject", "pickle.dangerous"),
    ("file_and_directory.tar", tar(("a", b"1"), ("a/b", b"2")), "reject", "path.file_dir"),
    ("good.tar", tar(("m/a.json", b"{}"), ("m/b.txt", b"text")), "accept", None),
    ("second_pickle.bin", archive(("archive/data.pkl", GOOD), ("archive/version", "3\n"), ("archive/x.pkl", EVIL)), "reject", "pickle.dangerous"),
    ("nested.zip", archive(("in.zip", archive(("p.pkl", EVIL)))), "reject", "pickle.dangerous"),
    ("good.zip", PLAIN, "accept", None),
    ("encrypted.zip", changed(changed(PLAIN, b"PK\3\4", 6, 1), b"PK\1\2", 8, 1), "reject", "zip.encrypted"),
    ("local_flag.zip", changed(PLAIN, b"PK\3\4", 6, 1), "reject", "zip.flags"),
    ("local_name.zip", changed(PLAIN, b"PK\3\4", 30, 1), "reject", "zip.mismatch"),
    ("local_size.zip", changed(PLAIN, b"PK\3\4", 22, 1), "reject", "zip.size"),
    ("trailing.zip", PLAIN + b"junk", "reject", "zip.structure"),
    ("absolute.zip", archive(("/a.txt", "1")), "reject", "path.absolute"),
    ("missing_storage.bin", archive(("a/data.pkl", b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ.")),
     "reject", "torch.storage_missing"),
    ("packed.pkl.gz", gzip.compress(EVIL), "reject", "pickle.dangerous"),
    ("packed.txt.gz", gzip.compress(b"hello " * 100), "accept", None),
    ("cut.txt.gz", gzip.compress(b"hello " * 100)[:-9], "reject", "gzip.structure"),
    ("escaped.pkl", b"\x80\x04V\\u0070osix\nVsystem\n\x93X\x04\x00\x00\x00true\x85R.", "reject", "pickle.dangerous"),
    ("newobj_ex.pkl", b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93\x8c\x04true\x85}\x92.", "reject", "pickle.dangerous"),
    ("obj.pkl", b"(cos\nsystem\nX\x04\x00\x00\x00trueo.", "reject", "pickle.dangerous"),
    ("class_changed.pkl", b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.", "reject", "pickle.dangerous"),
    ("memo.pkl", b"\x80\x02K\x01r\xf0\xff\xff\xff.", "reject", "pickle.limit"),
    ("somebodys_class.pkl", b"\x80\x02ctransformers.training_args\nTrainingArguments\n)\x81.", "flag", "pickle.global"),
    ("torch_function.pkl", b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00x\x85R.", "reject", "pickle.dangerous"),
    ("protocol5.pkl", pickle.dumps({"b": bytearray(b"12"), "f": frozenset([1]), "l": list(range(3000)), "s": "x" * 5000, "n": 2**80}, 5), "accept", None),
    ("protocol0.pkl", pickle.dumps({"a": [1, 2.0, "\u00e9", True, None]}, 0), "accept", None),
    ("far_slot.txt", b"Np1048575\n0" + CALL, "reject", "pickle.dangerous"),
    ("from_far_slot.txt", b"Np1048575\n0g1048575\n0" + CALL, "reject", "pickle.limit"),
    ("far_slot_in_text.txt", b"Project:\n\nI am\nrather\np 5 of it\n", "accept", None),
    ("odd_slot.txt", b"Np0\ng +0_0 \n00" + CALL, "reject", "pickle.dangerous"),
    ("no_slot.txt", b"I am\np1a\n0" + CALL, "accept", None),
    ("long_line.txt", b"V" + b"a" * 70000 + b"\n0" + CALL, "reject", "pickle.dangerous"),
    ("long_lines.txt", b"I" + b" am" * 30000 + b"\ncome\n", "accept", None),
    ("many_opcodes.txt", b"N0" * 100001 + CALL, "reject", "pickle.dangerous"),
    ("many_marks.txt", b"(" * 10001 + CALL, "reject", "pickle.depth"),
    ("many_things.txt", b"N" * 1000001 + CALL, "reject", "pickle.depth"),
    ("frame.dat", b"N0\x95" + b"\xff" * 8 + CALL, "reject", "pickle.dangerous"),
    ("changed.txt", b"cos\nenviron\nVA\nVb\ns.and more", "reject", "pickle.dangerous"),
    ("appended.txt", b"csys\npath\n(V/x\ne.and more", "reject", "pickle.dangerous"),
    ("computed.dat", b"Vos\nV" + b"path.os." * 200 + b"system\n\x93Vtrue\n\x85R\0", "reject", "pickle.computed_name"),
    ("walks.dat", b"N0\x80\x04cos\n" + b"path.os." * 200 + b"system\nVtrue\n\x85R\0", "reject", "pickle.name"),
    ("unpickled.tar", unpickled_tar(), "reject", "pickle.dangerous"),
    *((name, CONSTANTS, "reject", "pickle.opcode") for name in (
        "adapter_model.bin", "training_args.bin", "optimizer.bin", "pytorch_model-00001-of-00002.bin", "unet/diffusion_pytorch_model.fp16.bin")),
    ("good.npy", npy("<f4", (2, 3), bytes(24)), "accept", None),
    ("words.npy", npy("<U2", (3,), bytes(24)), "accept", None),
    ("record.npy", npy([("a", "<f4"), ("b", "|O")], (0,), b"\x80\x02]."), "flag", "npy.object"),
    ("long.npy", npy("<f4", (2, 3), bytes(25)), "reject", "npy.size"),
    ("good.h5", b"\x89HDF\r\n\x1a\n" + bytes(64), "accept", None),
    ("lambda.h5", b"\x89HDF\r\n\x1a\n" + bytes(64) + b'{"class_name": "Lambda", "config": {}}' + bytes(64), "reject", "keras.lambda"),
    ("good.keras", keras(module="keras.layers", class_name="Dense", config={"units": 2}, registered_name=None), "accept", None),
    ("module.keras", keras(module="os", class_name="system", config="true", registered_name=None), "reject", "keras.module"),
    ("registered.keras", keras(module="os", class_name="system", config="true", registered_name="a>system"), "reject", "keras.module"),
    ("saved_model.pb", saved_model(b"MatMul"), "accept", None),
    ("read/saved_model.pb", saved_model(b"ReadFile"), "reject", "tf.op"),
    ("good.msgpack", b"\x81\xa1a\xc7\x03\x01abc", "accept", None),
    ("long.msgpack", b"\x81\xa1a\xdd\xff\xff\xff\xff", "reject", "msgpack.length"),
    ("trailing.msgpack", b"\x80\x80", "reject", "msgpack.trailing"),
    ("local/config.json", b'{"auto_map": {"AutoConfig": "configuration_x.XConfig"}}', "flag", "code.auto_map"),
    ("twice/config.json", b'{"a": 1, "a": 2}', "reject", "json.duplicate"),
    ("trainer_state.json", b'{"loss": NaN, "steps": 1000000000000000019884624838656}', "accept", None),
    ("broken.json", b'{"loss": nan}', "flag", "json.syntax"),
    ("good/tokenizer_config.json", template("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% endfor %}"), "accept", None),
    ("dunder/tokenizer_config.json", template("{{ ''.__class__ }}"), "flag", "template.dunder"),
    ("import/tokenizer_config.json", template("{%- include 'x' %}"), "flag", "template.import"),
    ("chat_template.jinja", b"{{ x | attr('y') }}", "flag", "template.attr"),
    ("program.py", b"x = 1\n", "flag", "code.python"),
    ("library.bin", b"\x7fELF" + bytes(100), "reject", "code.native"),
    ("pointer.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n", "reject", "lfs.pointer"),
    ("words.txt", b"cat\nsat on the mat.\nR is a letter.\n", "accept", None),
    ("note.txt", b"(this is a note).\nI am\n", "accept", None),
    ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "accept", None),
    ("unknown.dat", bytes(range(255, 0, -1)) * 4, "flag", "format.unknown"),
    ("unet/config.json", pipeline(down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"]), "accept", None),
    ("good/model_index.json", pipeline(unet=["diffusers", "UNet2DConditionModel"], image_encoder=[None, None]), "accept", None),
    ("modules/model_index.json", pipeline(x=["flux", "ReduxImageEncoder"], y=["unclip", "UnCLIPTextProjModel"], z=["z_image", "Z"], s=["ace_step", "S"]),
     "accept", None),
    ("optimum/model_index.json", pipeline(unet=["optimum.onnxruntime.modeling_diffusion", "ORTUnet"]), "accept", None),
    *((f"module{i}/model_index.json", pipeline(x=[module, "X"]), "flag", "code.custom_pipeline")
      for i, module in enumerate(["onnx_evil", "flu", "flux flux2", "", " ", "flux.evil", "optimum_evil"])),
    ("own/model_index.json", b'{"_class_name": ["flux", "MyPipeline"]}', "flag", "code.custom_pipeline"),
    ("part/model_index.json", pipeline(unet=["my_unet", "MyUNet"]), "flag", "code.custom_pipeline"),
    ("class/model_index.json", b'{"_class_name": ["my_pipeline", "MyPipeline"]}', "flag", "code.custom_pipeline"),
    ("modular_model_index.json", pipeline(unet=["my_unet", "MyUNet", {"repo": "org/m"}]), "flag", "code.custom_pipeline"),
    ("imatrix.dat", imatrix(1, 2), "accept", None),
    ("of_old.imatrix", imatrix(1, 2)[:-13], "accept", None),
    ("nan.imatrix", imatrix(1, float("nan")), "reject", "imatrix.nonfinite"),
    ("cut.imatrix", imatrix(1, 2)[:-1], "flag", "format.unknown"),
    ("longer.imatrix", imatrix(1, 2) + b"x", "flag", "format.unknown"),
    ("entries.dat", imatrix(1, 2), "flag", "format.unknown"),
    ("alone/openvino_model.bin", CONSTANTS, "flag", "format.unknown"),
]


@pytest.mark.parametrize("name,data,verdict,rule", CASES, ids=[c[0] for c in CASES])
def test_verdict(tmp_path, name, data, verdict, rule):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    done = subprocess.run([BIN / "registryd-smoke", "--inspect", "--json", path], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    assert report["verdict"] == verdict, report["findings"]
    assert done.returncode == (6 if verdict == "reject" else 0)
    assert rule in {f["rule"] for f in report["findings"]} if rule else report["findings"] == []


def test_directory_is_judged_by_its_worst(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub/x.pkl").write_bytes(EVIL)
    done = subprocess.run([BIN / "registryd-smoke", "--inspect", "--json", tmp_path], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    assert report["verdict"] == "reject" and done.returncode == 6
    assert {f["path"]: (f["format"], f["verdict"]) for f in report["files"]} == {"config.json": ("json", "accept"), "sub/x.pkl": ("pickle", "reject")}
    assert report["findings"][0]["path"] == "sub/x.pkl"


def network(end):
    return f"""<?xml version="1.0"?>
<net name="m" version="11"><layers><layer id="0" name="w" type="Const" version="opset1">
<data element_type="f32" shape="2,3" offset="{end - 24}" size="24" /></layer></layers></net>"""


@pytest.mark.parametrize("xml,data,verdict,rule", [
    (network(len(CONSTANTS)), CONSTANTS, "accept", None), (network(len(CONSTANTS) + 1), CONSTANTS, "reject", "openvino.truncated"),
    (network(len(CONSTANTS)), CONSTANTS + bytes(63), "accept", None), (network(len(CONSTANTS)), CONSTANTS + b"x", "flag", "format.unknown"),
    (f'<net><weights offset="0" size="{len(CONSTANTS)}" /></net>', CONSTANTS, "accept", None), ("<net />", CONSTANTS, "flag", "format.unknown"),
    ("<svg/>", CONSTANTS, "flag", "format.unknown"), (network(len(EVIL)), EVIL, "reject", "pickle.dangerous"),
    (network(len(PLAIN)), archive(("a.pkl", EVIL)), "reject", "pickle.dangerous")])
def test_constants_of_a_network_are_told_by_the_network(tmp_path, xml, data, verdict, rule):
    (tmp_path / "openvino_model.xml").write_text(xml)
    (tmp_path / "openvino_model.bin").write_bytes(data)
    done = subprocess.run([BIN / "registryd-smoke", "--inspect", "--json", tmp_path], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    assert report["verdict"] == verdict and {f["rule"] for f in report["findings"]} == ({rule} if rule else set()), report["findings"]
