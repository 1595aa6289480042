// Shows the oracle tests what our GGUF reader sees.
//   gguf_probe list FILE      one line a tensor: name, type, shape
//   gguf_probe dump FILE      reads tensor names from stdin, writes their fp32 weights to stdout
//   gguf_probe time FILE      milliseconds to dequantise every tensor, by one thread, in pieces of 64 rows

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/gguf.h"
#include "model/gguf_types.h"

namespace {

using tide::GgufFile;
using tide::StoredTensor;

std::int64_t row_count(const StoredTensor& tensor) { return tensor.element_count() / tensor.shape.back(); }

void list(const GgufFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    fmt::print("{} {} {}\n", name, tide::gguf_type_name(static_cast<std::uint32_t>(tensor.type)),
               fmt::join(tensor.shape, "x"));
  }
}

void dump(const GgufFile& file) {
  std::string name;
  std::vector<float> weights;
  while (std::getline(std::cin, name)) {
    const StoredTensor& tensor = file.tensors().at(name);
    weights.resize(static_cast<std::size_t>(tensor.element_count()));
    dequantise_rows(tensor, 0, row_count(tensor), weights.data());
    std::fwrite(weights.data(), sizeof(float), weights.size(), stdout);
    std::fflush(stdout);
  }
}

void time(const GgufFile& file) {
  constexpr std::int64_t kRows = 64;
  std::vector<float> weights;
  const auto begin = std::chrono::steady_clock::now();
  std::int64_t total = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    weights.resize(static_cast<std::size_t>(kRows * tensor.shape.back()));
    for (std::int64_t row = 0; row < row_count(tensor); row += kRows) {
      dequantise_rows(tensor, row, std::min(kRows, row_count(tensor) - row), weights.data());
    }
    total += tensor.element_count();
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{} weights in {:.1f} ms\n", total, took.count());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: gguf_probe list|dump|time FILE\n");
    return 2;
  }
  try {
    const GgufFile file(argv[2]);
    if (std::strcmp(argv[1], "list") == 0) list(file);
    if (std::strcmp(argv[1], "dump") == 0) dump(file);
    if (std::strcmp(argv[1], "time") == 0) time(file);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return dynamic_cast<const tide::InputError*>(&error) != nullptr ? 2 : 1;
  }
}
