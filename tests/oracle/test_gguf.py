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
    def check_file(self, *paths):
        """Our reader is given the first of the files into which a checkpoint is split."""
        tensors = [tensor for path in paths for tensor in gguf.GGUFReader(path).tensors]
        expected = {t.name: (t.tensor_type.name, [int(n) for n in reversed(t.shape)]) for t in tensors}
        self.assertEqual(listing(paths[0]), expected)
        for tensor, ours in dequantised(paths[0], tensors):
            theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            theirs = theirs.reshape(-1)
            # What is no number in both is the same, whatever its payload: infinity times zero has several.
            both_nan = np.isnan(theirs) & np.isnan(ours.view(np.float32))
            different = np.count_nonzero((ours != theirs.view(np.uint32)) & ~both_nan)
            self.assertEqual(different, 0, f"{tensor.name} ({tensor.tensor_type.name}): {different} weights differ")
        return len(tensors)

    @unittest.skipUnless(MODEL, "no default model")
    def test_every_tensor_of_the_default_model(self):
        self.assertEqual(self.check_file(MODEL), 272)

    def test_random_tensors_of_every_type(self):
        rng = np.random.default_rng(11)
        types = gguf.GGMLQuantizationType
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "random.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            for kind in (types.F32, types.F16, types.BF16, types.Q8_0, types.Q4_0, types.Q4_1,
                         types.Q5_0, types.Q5_1):
                for shape in ((32,), (1, 32), (7, 96), (3, 5, 64)):
                    scale = 10.0 ** rng.integers(-6, 4, size=shape[:-1] + (1,))
                    weights = (rng.standard_normal(shape) * scale).astype(np.float32)
                    name = f"{kind.name}.{len(shape)}.{shape[0]}"
                    writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
            self.finish(writer)
            self.assertEqual(self.check_file(path), 32)

    def test_random_blocks_of_every_quantised_type(self):
        """Any bytes are a block: scales of every size and sign, subnormal, infinite and no number among them."""
        rng = np.random.default_rng(12)
        types = gguf.GGMLQuantizationType
        kinds = (types.Q8_0, types.Q4_0, types.Q4_1, types.Q5_0, types.Q5_1, types.Q4_K, types.Q5_K, types.Q6_K)
        with tempfile.TemporaryDirectory() as folder, np.errstate(invalid="ignore"):
            path = os.path.join(folder, "blocks.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            for kind in kinds:
                _, block_bytes = gguf.GGML_QUANT_SIZES[kind]
                for shape in ((1, 1), (1, 2), (5, 3), (700, 1)):  # rows, blocks a row
                    data = rng.integers(0, 256, (shape[0], shape[1] * block_bytes), dtype=np.uint8)
                    writer.add_tensor(f"{kind.name}.{shape[0]}.{shape[1]}", data, raw_dtype=kind)
                writer.add_tensor(f"{kind.name}.extreme", self.extreme_blocks(rng, kind), raw_dtype=kind)
            self.finish(writer)
            self.assertEqual(self.check_file(path), 5 * len(kinds))

    @staticmethod
    def extreme_blocks(rng, kind):
        """One block a row, its scale (and its minimum, where it has one) at the ends of what a half holds."""
        halves = np.array([0.0, -0.0, 6e-8, -6e-8, 6.1e-5, 65504, -65504, np.inf, -np.inf, np.nan, 1.0], np.float16)
        types = gguf.GGMLQuantizationType
        _, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        with_minimum = kind in (types.Q4_1, types.Q5_1, types.Q4_K, types.Q5_K)
        pairs = [(scale, minimum) for scale in halves for minimum in (halves if with_minimum else halves[:1])]
        data = rng.integers(0, 256, (3 * len(pairs), block_bytes), dtype=np.uint8)
        data[len(pairs):2 * len(pairs)] = 0
        data[2 * len(pairs):] = 255
        for row in range(len(data)):
            scale, minimum = pairs[row % len(pairs)]
            if kind == types.Q6_K:
                data[row, -2:] = np.frombuffer(scale.tobytes(), np.uint8)
            else:
                data[row, :2] = np.frombuffer(scale.tobytes(), np.uint8)
            if with_minimum:
                data[row, 2:4] = np.frombuffer(minimum.tobytes(), np.uint8)
        return data

    @staticmethod
    def finish(writer):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def test_files_that_the_package_has_split(self):
        rng = np.random.default_rng(13)
        with tempfile.TemporaryDirectory() as folder:
            writer = gguf.GGUFWriter(os.path.join(folder, "whole.gguf"), "llama", split_max_tensors=4)
            for i in range(10):
                writer.add_tensor(f"tensor.{i}", rng.standard_normal((3 + i, 32)).astype(np.float32))
            self.finish(writer)
            names = sorted(os.listdir(folder))
            self.assertEqual(names, [f"whole-0000{i}-of-00003.gguf" for i in (1, 2, 3)])
            self.assertEqual(self.check_file(*(os.path.join(folder, name) for name in names)), 10)

    def test_every_half_precision_number(self):
        halves = np.arange(65536, dtype=np.uint16).view(np.float16)
        halves = halves[~np.isnan(halves)]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "halves.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            writer.add_tensor("halves", halves)
            self.finish(writer)
            self.check_file(path)


if __name__ == "__main__":
    unittest.main()
