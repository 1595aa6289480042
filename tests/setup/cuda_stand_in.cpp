// A library in the place of the CUDA backend.

#include <cstdio>

#include "kernels/cuda/backend.h"

#if defined(STAND_IN_FOUND)
extern "C" int tidegauge_cuda_probe(char* message, std::size_t capacity) {
  std::snprintf(message, capacity, "Stand-in GPU");
  return 0;
}
#elif defined(STAND_IN_ABSENT)
extern "C" int tidegauge_cuda_probe(char* message, std::size_t capacity) {
  std::snprintf(message, capacity, "driver not loaded");
  return 1;
}
#else
extern "C" int tidegauge_cuda_other() { return 0; }
#endif
