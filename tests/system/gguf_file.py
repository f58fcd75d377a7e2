"""GGUF files taken apart and put together: {name: (dims, type, bytes)}, with the key-values as they stood."""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, ALIGNMENT = 8, 9, 32


def _skip(data, at, kind):
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + SIZES[kind]
    kind, n = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind in SIZES:
        return at + n * SIZES[kind]
    for _ in range(n):
        at = _skip(data, at, kind)
    return at


def read(path):
    """(key-values: their number and bytes, tensors in file order)."""
    data = path.read_bytes()
    n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
    at = 24
    for _ in range(n_keys):
        at = _skip(data, at, STRING)
        at = _skip(data, at + 4, struct.unpack_from("<I", data, at)[0])
    keys, infos = data[24:at], []
    for _ in range(n_tensors):
        end = _skip(data, at, STRING)
        name, rank = data[at + 8:end].decode(), struct.unpack_from("<I", data, end)[0]
        dims = struct.unpack_from(f"<{rank}Q", data, end + 4)
        kind, offset = struct.unpack_from("<IQ", data, end + 4 + 8 * rank)
        infos.append((name, dims, kind, offset))
        at = end + 16 + 8 * rank
    start = at + -at % ALIGNMENT
    ends = [i[3] for i in infos[1:]] + [len(data) - start]
    return (n_keys, keys), {name: (dims, kind, data[start + offset:start + end]) for (name, dims, kind, offset), end in zip(infos, ends)}


def write(path, keys, tensors):
    out, at = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), keys[0]), keys[1]], 0
    for name, (dims, kind, raw) in tensors.items():
        out.append(struct.pack("<Q", len(name)) + name.encode() + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, at))
        at += len(raw) + -len(raw) % ALIGNMENT
    head = b"".join(out)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + b"".join(raw + bytes(-len(raw) % ALIGNMENT) for _, _, raw in tensors.values()))
