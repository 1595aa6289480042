#include "cli/device.h"

#include <dlfcn.h>

#include <array>

#include "base/error.h"
#include "kernels/cuda/backend.h"

namespace tide::cli {

namespace {

constexpr const char* kLibrary = "libtidegauge_cuda.so";

std::filesystem::path program_folder() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) fail_work("read /proc/self/exe: {}", error.message());
  return program.parent_path();
}

}  // namespace

void require_cuda(const std::filesystem::path& library) {
  if (!std::filesystem::exists(library)) {
    fail_input("--device cuda: no backend library {}: expected a build with nvcc (CUDA toolkit 13.0)",
               library.string());
  }
  // Never closed: the CUDA runtime registers handlers that run at exit.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail_input("--device cuda: open the backend: {}", dlerror());
  const auto probe = reinterpret_cast<kernels::CudaProbe>(dlsym(handle, "tidegauge_cuda_probe"));
  if (probe == nullptr) {
    fail_input("--device cuda: {} has no tidegauge_cuda_probe: expected a backend of this version",
               library.string());
  }
  std::array<char, 256> message{};
  if (probe(message.data(), message.size()) != 0) {
    fail_input("--device cuda: no usable GPU: {}", message.data());
  }
  fail_input("--device cuda: found {}, but the CUDA decoder is not part of this build yet; use --device cpu",
             message.data());
}

void require_device(const std::string& device) {
  if (device == "cpu") return;
  if (device != "cuda") fail_input("--device {}: expected cpu or cuda", device);
  require_cuda(program_folder() / kLibrary);
}

}  // namespace tide::cli
