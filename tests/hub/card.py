"""What the Hub derives from a model's files for its JSON: card data, tags, config, parameter counts.

The YAML read here is the part of it that cards use (scalars, lists, nested maps by indentation, quotes, comments,
literal blocks): the package depends on nothing outside Python. A test with a stranger card passes `card_data=` itself.
"""

import json
import re
import struct

FENCE = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
DTYPE_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1,
               "U8": 1, "BOOL": 1}


def front_matter(text):
    """The card data of a README as the Hub shows it ({} where there is none or it can't be read)."""
    match = FENCE.match(text)
    if not match:
        return {}
    lines = [ln for ln in match.group(2).splitlines() if ln.strip() and not ln.lstrip().startswith("#")]
    try:
        value, rest = block(lines, indent_of(lines[0])) if lines else ({}, [])
    except (ValueError, IndexError):
        return {}
    return value if isinstance(value, dict) and not rest else {}


def indent_of(line):
    return len(line) - len(line.lstrip(" "))


def block(lines, indent):
    if lines[0].lstrip().startswith("- ") or lines[0].strip() == "-":
        return sequence(lines, indent)
    return mapping(lines, indent)


def mapping(lines, indent):
    out = {}
    while lines and indent_of(lines[0]) == indent and not lines[0].lstrip().startswith("- "):
        match = re.match(r"\s*(\"[^\"]*\"|'[^']*'|[^:#]+?)\s*:(?:\s+(.*))?$", lines[0])
        if not match:
            raise ValueError(lines[0])
        key, rest, lines = scalar(match.group(1)), (match.group(2) or "").strip(), lines[1:]
        out[str(key)], lines = value_of(rest, lines, indent)
    if lines and indent_of(lines[0]) > indent:
        raise ValueError(lines[0])
    return out, lines


def value_of(rest, lines, indent):
    if rest and rest[0] in "|>":
        body = []
        while lines and indent_of(lines[0]) > indent:
            body.append(lines[0].strip())
            lines = lines[1:]
        return ("\n" if rest[0] == "|" else " ").join(body) + "\n", lines
    if rest:
        return scalar(rest), lines
    if lines and (indent_of(lines[0]) > indent or (indent_of(lines[0]) == indent and lines[0].lstrip().startswith("- "))):
        return block(lines, indent_of(lines[0]))
    return None, lines


def sequence(lines, indent):
    out = []
    while lines and indent_of(lines[0]) == indent and lines[0].lstrip().startswith("-"):
        item = lines[0].lstrip()[1:]
        inner = item.strip()
        if re.match(r"[\w.-]+:(\s|$)", inner):
            # `- key: value`: the rest of the map stands at the column of its first key
            column = indent + 1 + (len(item) - len(item.lstrip()))
            value, lines = mapping([" " * column + inner] + lines[1:], column)
            out.append(value)
            continue
        value, lines = value_of(inner, lines[1:], indent)
        out.append(value)
    return out, lines


def scalar(text):
    if text[:1] in "\"'":
        end = text.index(text[0], 1)
        return text[1:end]
    text = re.sub(r"\s+#.*$", "", text).strip()
    if text.startswith("[") and text.endswith("]"):
        return [scalar(t.strip()) for t in text[1:-1].split(",") if t.strip()]
    if text in ("true", "True", "false", "False"):
        return text in ("true", "True")
    if text in ("", "~", "null"):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def summarize(read, paths, card_data=None):
    """`read(path, n)` gives the first n bytes of a file. Returns the derived fields of the model's JSON."""
    def document(path):
        try:
            return json.loads(read(path, 1 << 20)) if path in paths else {}
        except ValueError:
            return {}

    if card_data is None:
        card_data = front_matter(read("README.md", 1 << 20).decode("utf-8", "replace")) if "README.md" in paths else {}
    config = document("config.json")
    config = config if isinstance(config, dict) else {}
    library = card_data.get("library_name") or ("transformers" if config.get("model_type") else None)
    task = card_data.get("pipeline_tag") or task_of(config)
    return {
        "cardData": card_data,
        "library_name": library,
        "pipeline_tag": task,
        "config": {k: config[k] for k in ("architectures", "model_type", "quantization_config") if k in config},
        "tags": tags(card_data, config, library, task, paths),
        "safetensors": parameters(read, [p for p in paths if p.endswith(".safetensors")]),
    }


def task_of(config):
    names = [a for a in as_list(config.get("architectures")) if isinstance(a, str)]
    return "text-generation" if any(a.endswith("ForCausalLM") for a in names) else None


def tags(card, config, library, task, paths):
    out = [library] if library else []
    out += [t for t in ("safetensors", "gguf", "onnx") if any(p.endswith("." + t) for p in paths)]
    out += ["pytorch"] if any(p.endswith(".bin") for p in paths) else []
    out += [config["model_type"]] if isinstance(config.get("model_type"), str) else []
    out += [task] if task else []
    out += [t for t in as_list(card.get("tags")) if isinstance(t, str)]
    for key, prefix in (("language", ""), ("datasets", "dataset:"), ("base_model", "base_model:"), ("license", "license:")):
        out += [prefix + t for t in as_list(card.get(key)) if isinstance(t, str)]
    return list(dict.fromkeys(out + ["region:us"]))


def parameters(read, paths):
    """The `safetensors` field: parameters by dtype, from the headers of the files."""
    count = {}
    for path in paths:
        head = read(path, 8)
        if len(head) < 8:
            continue
        length = struct.unpack("<Q", head)[0]
        if length > 32 << 20:
            continue
        try:
            tensors = json.loads(read(path, 8 + length)[8:])
            for name, t in tensors.items():
                if name != "__metadata__":
                    a, b = t["data_offsets"]
                    count[t["dtype"]] = count.get(t["dtype"], 0) + (b - a) // DTYPE_BYTES[t["dtype"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return {"parameters": count, "total": sum(count.values())} if count else None
