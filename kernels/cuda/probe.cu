// What device there is, or why there is none.

#include <cuda_runtime_api.h>

#include <cstdio>

#include "kernels/cuda/backend.h"

extern "C" int tidegauge_cuda_probe(char* message, std::size_t capacity) {
  int n_devices = 0;
  cudaError_t status = cudaGetDeviceCount(&n_devices);
  if (status == cudaSuccess && n_devices == 0) status = cudaErrorNoDevice;
  int device = 0;
  if (status == cudaSuccess) status = cudaGetDevice(&device);
  cudaDeviceProp properties{};
  if (status == cudaSuccess) status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) {
    std::snprintf(message, capacity, "%s", cudaGetErrorString(status));
    return 1;
  }
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  std::snprintf(message, capacity, "%s, compute capability %d.%d, %.0f GiB", properties.name,
                properties.major, properties.minor, static_cast<double>(properties.totalGlobalMem) / gib);
  return 0;
}
