#pragma once
// A plain read of memory: what every bandwidth-bound kernel is measured against.

#include <cstdint>

namespace tide::kernels {

class ThreadPool;

/// Words to be read once, each.
struct ReadMemory {
  const std::uint64_t* word;  ///< [n_words]
  std::int64_t n_words;
};

namespace reference {
/// The exclusive or of all words, which depends on every one of them.
std::uint64_t read_memory(const ReadMemory& args, ThreadPool& pool);
}  // namespace reference
namespace cpu {
std::uint64_t read_memory(const ReadMemory& args, ThreadPool& pool);
}  // namespace cpu

}  // namespace tide::kernels
