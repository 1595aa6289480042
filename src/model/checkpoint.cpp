#include "model/checkpoint.h"

#include <array>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace tide {

namespace {

bool is_gguf(const std::filesystem::path& path) {
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::memcmp(magic.data(), "GGUF", magic.size()) == 0;
}

}  // namespace

bool looks_like_checkpoint(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) || (std::filesystem::is_regular_file(path) && is_gguf(path));
}

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) fail_input("open {}: no such file", path.string());
  if (std::filesystem::is_directory(path)) return open_hf_checkpoint(path);
  if (!std::filesystem::is_regular_file(path)) {
    fail_input("open {}: neither a regular file nor a folder", path.string());
  }
  if (!is_gguf(path)) {
    fail_input("{}: byte 0: not a GGUF file; supported checkpoints are GGUF files and Hugging Face folders",
               path.string());
  }
  return open_gguf_checkpoint(path);
}

}  // namespace tide
