#pragma once
// The CUDA backend's contract: a shared library, libtidegauge_cuda.so, that the program opens when
// `--device cuda` asks for it. Only C functions cross its border; no exception does.

#include <cstddef>

extern "C" {

/// Whether there is a device to run on. Returns 0 and puts its name, compute capability and memory
/// into `message`; otherwise returns another number and puts the reason there. The message is one
/// line, cut to `capacity` bytes, always terminated. `capacity` >= 1.
int tidegauge_cuda_probe(char* message, std::size_t capacity);
}

namespace tide::kernels {

/// How the loader declares tidegauge_cuda_probe.
using CudaProbe = int (*)(char* message, std::size_t capacity);

}  // namespace tide::kernels
