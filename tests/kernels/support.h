#pragma once
// What the kernel tests share: one seed, one table of tolerances, the machine's vector targets, and
// caches whose unused places are poisoned.

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/reference/load.h"
#include "kernels/types.h"

namespace tide::kernels::test {

constexpr std::uint32_t kSeed = 20240917;

/// |got - want| <= absolute + relative * |want|. Inputs are rounded to the dtype before both twins see
/// them, so what is left is fp32 arithmetic; values are of order 1.
struct Tolerance {
  double absolute, relative;
};
inline Tolerance tolerance(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {4e-6, 4e-6};
    case DType::f16:
      return {4e-6, 4e-6};
    case DType::bf16:
      return {4e-6, 4e-6};
  }
  return {};
}

inline const char* name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::f16 ? "f16" : "bf16";
}
constexpr DType kDTypes[] = {DType::f32, DType::f16, DType::bf16};

/// Reports the first value out of tolerance, and how many there are.
template <typename A, typename B>
void expect_near(const A& got, const B& want, Tolerance allowed, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  std::size_t bad = 0, first = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double limit = allowed.absolute + allowed.relative * std::fabs(static_cast<double>(want[i]));
    const bool same = got[i] == want[i];
    if (same || std::fabs(static_cast<double>(got[i]) - want[i]) <= limit) continue;
    if (bad++ == 0) first = i;
  }
  ASSERT_EQ(bad, 0u) << what << ": index " << first << " is " << got[first] << ", expected " << want[first]
                     << ", seed " << kSeed;
}

/// Equal to the bit, NaN included.
inline void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want,
                             const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(want[i]))
        << what << ": index " << i << ", " << got[i] << " and " << want[i] << ", seed " << kSeed;
  }
}

class Random {
 public:
  explicit Random(std::uint32_t salt = 0) : engine_(kSeed + salt) {}
  float normal(float deviation = 1.0f) { return deviation * normal_(engine_); }
  std::int64_t below(std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>(0, n - 1)(engine_);
  }
  std::vector<float> normals(std::size_t n, float deviation = 1.0f) {
    std::vector<float> values(n);
    for (float& v : values) v = normal(deviation);
    return values;
  }
  std::uint32_t bits() { return static_cast<std::uint32_t>(engine_()); }
  std::mt19937& engine() { return engine_; }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

/// An array of `dtype` that holds `values`, rounded.
inline std::vector<std::uint8_t> stored(const std::vector<float>& values, DType dtype) {
  std::vector<std::uint8_t> bytes(values.size() * size_of(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    reference::store(bytes.data(), static_cast<std::int64_t>(i), dtype, values[i]);
  }
  return bytes;
}

/// Runs each test of a suite once for every vector target that this machine can run.
class OnEveryTarget : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { choose(GetParam()); }
  void TearDown() override { choose(0); }
  static void choose(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline std::vector<std::int64_t> machine_targets() {
  std::vector<std::int64_t> targets;
  for (const std::int64_t target : {HWY_SSE4, HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    if (hwy::SupportedTargets() & target) targets.push_back(target);
  }
  return targets;
}

#define TIDE_ON_EVERY_TARGET(suite)                                                                     \
  INSTANTIATE_TEST_SUITE_P(Targets, suite, testing::ValuesIn(::tide::kernels::test::machine_targets()), \
                           [](const auto& parameter) { return hwy::TargetName(parameter.param); })

}  // namespace tide::kernels::test
