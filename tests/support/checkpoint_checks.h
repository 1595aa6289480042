#pragma once
// What the tests of every checkpoint format ask.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "model/config.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {

/// Weights of deviation 0.1 for a tensor of that shape.
inline std::vector<float> drawn_weights(std::mt19937_64& random, const std::vector<std::int64_t>& shape) {
  std::int64_t size = 1;
  for (const std::int64_t n : shape) size *= n;
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> weights(static_cast<std::size_t>(size));
  for (float& weight : weights) weight = normal(random);
  return weights;
}

/// The sizes of tiny_config().
inline void expect_tiny_sizes(const ModelConfig& read) {
  const ModelConfig expected = tiny_config();
  EXPECT_EQ(read.n_layers, expected.n_layers);
  EXPECT_EQ(read.n_heads, expected.n_heads);
  EXPECT_EQ(read.n_kv_heads, expected.n_kv_heads);
  EXPECT_EQ(read.head_dim, expected.head_dim);
  EXPECT_EQ(read.hidden_size, expected.hidden_size);
  EXPECT_EQ(read.ffn_size, expected.ffn_size);
  EXPECT_EQ(read.vocab_size, expected.vocab_size);
  EXPECT_EQ(read.max_positions, expected.max_positions);
}

/// Reads the file with every byte changed in three ways; none may crash the reader. `refusal` gives its
/// message, empty when it takes the file. Returns how many were refused.
template <typename Refusal>
int refused_changes(const std::string& whole, const Refusal& refusal) {
  int refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char mask : {'\x01', '\x80', '\xff'}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      refused += refusal(changed).empty() ? 0 : 1;
    }
  }
  return refused;
}

}  // namespace tide::testing
