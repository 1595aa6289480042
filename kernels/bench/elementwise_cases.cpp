// The small operations of one decode step of one row, all layers of it, and the price of sharing work out.

#include "kernels/bench/cases.h"
#include "kernels/elementwise.h"

namespace tide::kernels::bench {

namespace {

Case rms_norm_case() {
  const auto prepare = [] {
    return [x = random_floats(kHidden), weight = std::vector<float>(kHidden, 1.0f),
            y = std::vector<float>(kHidden)]() mutable {
      for (int norm = 0; norm < 2 * kLayers + 1; ++norm) {
        cpu::rms_norm({x.data(), weight.data(), y.data(), 1, kHidden, 1e-5f});
      }
    };
  };
  return {"RMS norms of a step", 0, 0, "", prepare};
}

Case rope_case() {
  const auto prepare = [] {
    // A rotation by 0.6, 0.8 keeps lengths, however often it is applied.
    return
        [x = random_floats((kHeads + kKvHeads) * kHeadDim), cosine = std::vector<float>(kHeadDim / 2, 0.6f),
         sine = std::vector<float>(kHeadDim / 2, 0.8f)]() mutable {
          for (int layer = 0; layer < kLayers; ++layer) {
            cpu::rope({x.data(), cosine.data(), sine.data(), kHeads + kKvHeads, kHeadDim});
          }
        };
  };
  return {"rotary embeddings of a step", 0, 0, "", prepare};
}

Case silu_case() {
  const auto prepare = [] {
    return [gate_up = random_floats(2 * kFfn), y = std::vector<float>(kFfn)]() mutable {
      for (int layer = 0; layer < kLayers; ++layer) cpu::silu_mul({gate_up.data(), y.data(), 1, kFfn});
    };
  };
  return {"gated SiLU of a step", 0, 0, "", prepare};
}

/// Four products, attention and the norms between them are as many regions a layer.
Case region_case(Workbench& bench) {
  const auto prepare = [&bench] {
    return [&bench] { bench.pool.run(bench.pool.n_threads(), [](std::int64_t) {}); };
  };
  return {"an empty parallel region", 0, 0, "", prepare};
}

}  // namespace

std::vector<Case> elementwise_cases(Workbench& bench) {
  return {rms_norm_case(), rope_case(), silu_case(), region_case(bench)};
}

}  // namespace tide::kernels::bench
