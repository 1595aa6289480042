#pragma once
// What every bench is given, and the benches. Each runs its contenders in interleaved rounds, prints a
// table or JSON, and writes the JSON where `--out` says.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"

namespace tide::cli {

/// The command line of `bench`. What is left out is the bench's own default.
struct BenchOptions {
  ModelOptions model;
  std::string what;
  std::vector<std::string> policies;
  std::optional<std::int64_t> length, steps, rounds;
  std::vector<std::int64_t> forks;  ///< how many are decoded as one batch
  std::vector<std::string> peers;   ///< "llama.cpp", "hf"
  std::vector<std::string> only;    ///< parts of the names of kernels' cases; empty: all cases
  bool latency_only = false;        ///< lengths past the model's positions are allowed
  std::filesystem::path scratch;    ///< where recordings are written and removed; empty: here
  std::filesystem::path out;        ///< JSON; a figure is written beside it; empty: neither
  bool force = false;               ///< replace `out`
  bool json = false;
};

/// Milliseconds a token under policies.
void bench_decode(const BenchOptions& options);
/// A prompt's pass.
void bench_prefill(const BenchOptions& options);
/// A step of many forks as one batch. Throws WorkError when a fork's logits depend on the others.
void bench_forks(const BenchOptions& options);
/// What recording adds to decoding.
void bench_record(const BenchOptions& options);
/// Calls of the kernels. Needs no model.
void bench_kernels(const BenchOptions& options);

}  // namespace tide::cli
