// Times the CPU kernels on inputs that no cache still holds, beside a plain read of memory.
// Bytes are those a kernel must read; compare read_GB a second with ReadMemory's.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/linear_q8.h"
#include "kernels/thread_pool.h"
#include "kernels/top_k.h"

namespace tide::kernels {
namespace {

/// More than any last-level cache that these kernels meet.
constexpr std::size_t kRotateBytes = std::size_t{256} << 20;
constexpr std::uint32_t kSeed = 7;

ThreadPool& pool() {
  static ThreadPool team(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  return team;
}

/// Random bf16 values of order 1 (sign, exponents 120 .. 127, mantissa).
std::vector<std::uint16_t> random_bf16(std::size_t count) {
  std::vector<std::uint16_t> values(count);
  std::uint64_t state = kSeed;
  for (std::uint16_t& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<std::uint16_t>(((state >> 40) & 0x83ffu) | 0x3c00u);
  }
  return values;
}

std::vector<float> random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(engine);
  return values;
}

void report(benchmark::State& state, double bytes) {
  state.counters["read_GB"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void ReadMemory(benchmark::State& state) {
  const std::vector<std::uint16_t> data = random_bf16(kRotateBytes / 2);
  const std::int64_t blocks = 512, words = static_cast<std::int64_t>(kRotateBytes) / 8 / blocks;
  const auto* word = reinterpret_cast<const std::uint64_t*>(data.data());
  std::vector<std::uint64_t> result(static_cast<std::size_t>(blocks));
  for (auto _ : state) {
    pool().run(blocks, [&](std::int64_t b) {
      std::uint64_t sum[8] = {};
      for (std::int64_t i = b * words; i < (b + 1) * words; i += 8) {
        for (int lane = 0; lane < 8; ++lane) sum[lane] ^= word[i + lane];
      }
      result[static_cast<std::size_t>(b)] = std::accumulate(sum, sum + 8, std::uint64_t{0});
    });
    benchmark::DoNotOptimize(result.data());
  }
  report(state, static_cast<double>(kRotateBytes));
}
BENCHMARK(ReadMemory)->UseRealTime()->Unit(benchmark::kMillisecond);

void EmptyRegion(benchmark::State& state) {
  for (auto _ : state) pool().run(pool().n_threads(), [](std::int64_t i) { benchmark::DoNotOptimize(i); });
}
BENCHMARK(EmptyRegion)->UseRealTime();

struct Product {
  std::int64_t n_in, n_out;
};

/// The products of one decode step of a 135M-parameter Llama model: 30 layers and the LM head.
std::vector<Product> products_of_a_step() {
  std::vector<Product> step;
  for (int layer = 0; layer < 30; ++layer) {
    step.insert(step.end(), {{576, 960}, {576, 576}, {576, 3072}, {1536, 576}});
  }
  step.push_back({576, 49152});
  return step;
}

std::size_t weights_of(const std::vector<Product>& step) {
  std::size_t weights = 0;
  for (const Product& p : step) weights += static_cast<std::size_t>(p.n_in * p.n_out);
  return weights;
}

void LinearStep(benchmark::State& state) {
  const std::vector<Product> step = products_of_a_step();
  const std::size_t weights = weights_of(step);
  const std::vector<std::uint16_t> weight = random_bf16(weights);  // in panels
  const std::int64_t n_rows = state.range(0);
  const std::vector<float> x = random_floats(static_cast<std::size_t>(n_rows * 1536), kSeed);
  std::vector<float> y(static_cast<std::size_t>(n_rows * 49152));
  for (auto _ : state) {
    const std::uint16_t* w = weight.data();
    for (const Product& p : step) {
      cpu::linear({x.data(), w, nullptr, nullptr, y.data(), n_rows, p.n_in, p.n_out, DType::bf16}, pool());
      w += p.n_in * p.n_out;
    }
    benchmark::DoNotOptimize(y.data());
  }
  report(state, static_cast<double>(weights) * 2);
  state.counters["GFLOP"] =
      benchmark::Counter(2e-9 * static_cast<double>(weights) * static_cast<double>(n_rows),
                         benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(LinearStep)->Arg(1)->Arg(2)->Arg(4)->Arg(16)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond);

void LinearStepQ8(benchmark::State& state) {
  const std::vector<Product> step = products_of_a_step();
  const std::size_t weights = weights_of(step);
  std::vector<std::int8_t> weight(weights);
  std::uint32_t bits = kSeed;
  for (std::int8_t& w : weight) w = static_cast<std::int8_t>((bits = bits * 1664525u + 1013904223u) >> 24);
  const std::vector<std::uint16_t> scale(weights / kQ8Block, 0x2000);
  const std::int64_t n_rows = state.range(0);
  const std::vector<float> x = random_floats(static_cast<std::size_t>(n_rows * 1536), kSeed);
  std::vector<float> y(static_cast<std::size_t>(n_rows * 49152));
  for (auto _ : state) {
    std::size_t at = 0;
    for (const Product& p : step) {
      cpu::linear_q8({x.data(), weight.data() + at, scale.data() + at / kQ8Block, nullptr, nullptr, y.data(),
                      n_rows, p.n_in, p.n_out},
                     pool());
      at += static_cast<std::size_t>(p.n_in * p.n_out);
    }
    benchmark::DoNotOptimize(y.data());
  }
  report(state, static_cast<double>(weights) * 34 / 32);
}
BENCHMARK(LinearStepQ8)
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Arg(16)
    ->Arg(64)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Layers' caches of one sequence, 9 query and 3 KV heads of 64, bf16, more than the caches hold.
class Layers {
 public:
  static constexpr int kHeads = 9, kKvHeads = 3, kHeadDim = 64;

  explicit Layers(std::int64_t kv_len)
      : kv_len_(kv_len),
        layer_values_(static_cast<std::size_t>(2 * kKvHeads * kHeadDim * kv_len)),
        n_layers_(std::max<std::size_t>(2, kRotateBytes / (2 * layer_values_))),
        cache_(random_bf16(n_layers_ * layer_values_)),
        query_(random_floats(kHeads * kHeadDim, kSeed)),
        out_(query_.size()),
        score_(static_cast<std::size_t>(kHeads * kv_len)),
        log_sum_exp_(kHeads) {}

  KvView next() {
    at_ = (at_ + 1) % n_layers_;
    const std::uint16_t* k = cache_.data() + at_ * layer_values_;
    return {DType::bf16,
            kKvHeads,
            kHeadDim,
            {{k, k + layer_values_ / 2, kv_len_ * kHeadDim, 0, kv_len_}, {nullptr, nullptr, 0, kv_len_, 0}}};
  }
  FullAttentionRow full(bool with_scores) {
    return {query_.data(),       next(),     with_scores ? score_.data() : nullptr, kv_len_,
            log_sum_exp_.data(), out_.data()};
  }
  GatherAttentionRow gather(const std::int32_t* position, const std::int32_t* count, const std::int32_t* set,
                            std::int32_t width) {
    return {query_.data(),       next(),     position, count, set, width, nullptr, width,
            log_sum_exp_.data(), out_.data()};
  }
  std::size_t layer_bytes() const { return 2 * layer_values_; }

 private:
  std::int64_t kv_len_;
  std::size_t layer_values_, n_layers_, at_ = 0;
  std::vector<std::uint16_t> cache_;
  std::vector<float> query_, out_, score_, log_sum_exp_;
};

void FullAttentionLayer(benchmark::State& state) {
  Layers layers(state.range(0));
  for (auto _ : state) {
    const FullAttentionRow row = layers.full(state.range(1) != 0);
    cpu::full_attention({&row, 1}, Layers::kHeads, pool());
  }
  report(state, static_cast<double>(layers.layer_bytes()));
}
BENCHMARK(FullAttentionLayer)
    ->ArgNames({"kv_len", "scores"})
    ->ArgsProduct({{1024, 8192, 32768}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

/// n_sets 9, 3 or 1: a set for each query head, each group, or for all.
void GatherAttentionLayer(benchmark::State& state) {
  const std::int64_t kv_len = state.range(0);
  const std::int32_t k = static_cast<std::int32_t>(state.range(1)),
                     n_sets = static_cast<std::int32_t>(state.range(2));
  Layers layers(kv_len);
  std::mt19937 engine(kSeed);
  constexpr std::size_t kDraws = 64;
  std::vector<std::vector<std::int32_t>> draws(kDraws);
  std::vector<std::int32_t> all(static_cast<std::size_t>(kv_len));
  std::iota(all.begin(), all.end(), 0);
  for (auto& draw : draws) {
    for (std::int32_t s = 0; s < n_sets; ++s) {
      for (std::int32_t i = 0; i < k; ++i) {
        std::swap(all[static_cast<std::size_t>(i)],
                  all[static_cast<std::size_t>(i) + engine() % (all.size() - static_cast<std::size_t>(i))]);
      }
      draw.insert(draw.end(), all.begin(), all.begin() + k);
    }
  }
  const std::vector<std::int32_t> count(static_cast<std::size_t>(n_sets), k);
  std::vector<std::int32_t> set_of_head;
  for (std::int32_t h = 0; h < Layers::kHeads; ++h) set_of_head.push_back(h * n_sets / Layers::kHeads);
  std::size_t at = 0;
  for (auto _ : state) {
    const GatherAttentionRow row =
        layers.gather(draws[at++ % kDraws].data(), count.data(), set_of_head.data(), k);
    cpu::gather_attention({&row, 1}, Layers::kHeads, pool());
  }
  report(state, 2.0 * Layers::kHeadDim * 2 * k * std::max(n_sets, Layers::kKvHeads));
}
BENCHMARK(GatherAttentionLayer)
    ->ArgNames({"kv_len", "k", "sets"})
    ->ArgsProduct({{8192}, {64, 256, 1024}, {9, 3, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void TopKRow(benchmark::State& state) {
  const std::int64_t n = state.range(0), k = state.range(1);
  constexpr std::int64_t kInputs = 64;  // rotated, so that the branch predictor cannot learn one by heart
  const std::vector<float> value = random_floats(static_cast<std::size_t>(n * kInputs), kSeed);
  std::vector<std::int32_t> index(static_cast<std::size_t>(k));
  std::int64_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cpu::top_k({value.data() + at * n, n, k, index.data(), nullptr}));
    at = (at + 1) % kInputs;
  }
}
BENCHMARK(TopKRow)
    ->Args({1024, 64})
    ->Args({8192, 64})
    ->Args({10240, 256})
    ->Args({131072, 2048})
    ->Unit(benchmark::kMicrosecond);

void PooledProbRow(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  const std::vector<float> score = random_floats(static_cast<std::size_t>(9 * n), kSeed),
                           log_sum_exp(9, 3.0f);
  std::vector<float> pooled(static_cast<std::size_t>(n));
  for (auto _ : state) {
    cpu::pooled_prob({score.data(), log_sum_exp.data(), pooled.data(), 9, n, n});
    benchmark::DoNotOptimize(pooled.data());
  }
}
BENCHMARK(PooledProbRow)->Arg(8192)->Unit(benchmark::kMicrosecond);

void SiluMulRow(benchmark::State& state) {
  const std::vector<float> gate_up = random_floats(2 * 1536, kSeed);
  std::vector<float> y(1536);
  for (auto _ : state) {
    cpu::silu_mul({gate_up.data(), y.data(), 1, 1536});
    benchmark::DoNotOptimize(y.data());
  }
}
BENCHMARK(SiluMulRow);

void RmsNormRow(benchmark::State& state) {
  const std::vector<float> x = random_floats(576, kSeed), weight(576, 1.0f);
  std::vector<float> y(576);
  for (auto _ : state) {
    cpu::rms_norm({x.data(), weight.data(), y.data(), 1, 576, 1e-5f});
    benchmark::DoNotOptimize(y.data());
  }
}
BENCHMARK(RmsNormRow);

}  // namespace
}  // namespace tide::kernels

BENCHMARK_MAIN();
