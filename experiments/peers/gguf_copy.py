"""The same checkpoint with other weights: a GGUF copy that llama.cpp reads."""

import os
import pathlib
import tempfile

import numpy as np

KINDS = {"bf16": ("BF16", "MOSTLY_BF16"), "fp32": ("F32", "ALL_F32"), "q8_0": ("Q8_0", "MOSTLY_Q8_0")}


def copy_with(source, dtype, sha256):
    """Path of a copy of `source` with every matrix in `dtype`; made once, and kept in the temporary
    folder under the source's digest."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"tidegauge-peer-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{sha256[:16]}.{dtype}.gguf"
    if not target.exists():
        part = folder / f"{target.name}.{os.getpid()}.part"
        write(source, part, dtype)
        os.replace(part, target)
    return target


def write(source, target, dtype):
    """Copies a GGUF with every matrix dequantised and then stored in `dtype`; norms stay fp32."""
    import gguf

    kind, file_type = KINDS[dtype]
    kind = gguf.GGMLQuantizationType[kind]
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        sub = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub)
    writer.add_file_type(gguf.LlamaFileType[file_type])
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if values.ndim > 1:
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
