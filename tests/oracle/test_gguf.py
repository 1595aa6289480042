"""Our GGUF reader against the gguf package: directory and dequantised weights, bit for bit."""

import os
import subprocess
import tempfile
import unittest

import gguf
import numpy as np

PROBE = os.environ["TIDEGAUGE_PROBE"]
MODEL = os.environ.get("TIDEGAUGE_TEST_MODEL", "")


def dequantised(path, tensors):
    """Yields (tensor, our weights as uint32 bits) for each of the reader's tensors."""
    with subprocess.Popen([PROBE, "dump", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as probe:
        for tensor in tensors:
            probe.stdin.write(f"{tensor.name}\n".encode())
            probe.stdin.flush()
            n_bytes = 4 * int(np.prod(tensor.shape))
            data = probe.stdout.read(n_bytes)
            assert len(data) == n_bytes, f"{tensor.name}: the probe stopped"
            yield tensor, np.frombuffer(data, np.uint32)
        probe.stdin.close()


def listing(path):
    """{name: (type, shape outermost first)} as our reader sees the file."""
    lines = subprocess.run([PROBE, "list", path], check=True, capture_output=True, text=True).stdout.splitlines()
    fields = (line.rsplit(" ", 2) for line in lines)
    return {name: (kind, [int(n) for n in shape.split("x")]) for name, kind, shape in fields}


class GgufOracle(unittest.TestCase):
    def check_file(self, path):
        reader = gguf.GGUFReader(path)
        expected = {t.name: (t.tensor_type.name, [int(n) for n in reversed(t.shape)]) for t in reader.tensors}
        self.assertEqual(listing(path), expected)
        for tensor, ours in dequantised(path, reader.tensors):
            theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            different = np.count_nonzero(ours != theirs.reshape(-1).view(np.uint32))
            self.assertEqual(different, 0, f"{tensor.name} ({tensor.tensor_type.name}): {different} weights differ")
        return len(reader.tensors)

    @unittest.skipUnless(MODEL, "no default model")
    def test_every_tensor_of_the_default_model(self):
        self.assertEqual(self.check_file(MODEL), 272)

    def test_random_tensors_of_every_type(self):
        rng = np.random.default_rng(11)
        types = gguf.GGMLQuantizationType
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "random.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            for kind in (types.F32, types.F16, types.BF16, types.Q8_0, types.Q4_0, types.Q4_1):
                for shape in ((32,), (1, 32), (7, 96), (3, 5, 64)):
                    scale = 10.0 ** rng.integers(-6, 4, size=shape[:-1] + (1,))
                    weights = (rng.standard_normal(shape) * scale).astype(np.float32)
                    name = f"{kind.name}.{len(shape)}.{shape[0]}"
                    writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            self.assertEqual(self.check_file(path), 24)

    def test_every_half_precision_number(self):
        halves = np.arange(65536, dtype=np.uint16).view(np.float16)
        halves = halves[~np.isnan(halves)]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "halves.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            writer.add_tensor("halves", halves)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            self.check_file(path)


if __name__ == "__main__":
    unittest.main()
