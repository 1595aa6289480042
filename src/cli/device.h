#pragma once
// Which device decoding runs on. The CUDA backend is a library of its own beside the program, opened
// only here, so that the CPU program starts fast and needs no CUDA.

#include <filesystem>
#include <string>

namespace tide::cli {

/// Throws InputError with one line unless decoding can run on `device` ("cpu" or "cuda"): no backend
/// library, no usable GPU, or a part of the decoder that the backend does not have.
void require_device(const std::string& device);

/// The same for "cuda", with the backend library at `library`.
void require_cuda(const std::filesystem::path& library);

}  // namespace tide::cli
