#include "kernels/top_k.h"

#include <functional>

#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class TopKKernel : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(TopKKernel);

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Chosen {
  std::vector<std::int32_t> index;
  std::vector<float> value;
};

Chosen run(std::int64_t (*kernel)(const TopK&), const std::vector<float>& value, std::int64_t k) {
  Chosen chosen{std::vector<std::int32_t>(static_cast<std::size_t>(k), -7),
                std::vector<float>(static_cast<std::size_t>(k), -7.0f)};
  const std::int64_t n = kernel(
      {value.data(), static_cast<std::int64_t>(value.size()), k, chosen.index.data(), chosen.value.data()});
  for (std::size_t i = static_cast<std::size_t>(n); i < chosen.index.size(); ++i) {
    EXPECT_EQ(chosen.index[i], -7) << "written past what was returned";
  }
  chosen.index.resize(static_cast<std::size_t>(n));
  chosen.value.resize(static_cast<std::size_t>(n));
  return chosen;
}

/// Ways of filling an array that have broken selections before.
struct Filling {
  const char* name;
  std::function<float(Random&)> draw;
};
std::vector<Filling> fillings() {
  return {
      {"normal", [](Random& r) { return r.normal(); }},
      {"three distinct values", [](Random& r) { return static_cast<float>(r.below(3)); }},
      {"all equal", [](Random&) { return 2.5f; }},
      {"one exponent", [](Random& r) { return 1.0f + static_cast<float>(r.below(1 << 20)) * 0x1p-23f; }},
      {"neighbouring floats", [](Random& r) { return std::bit_cast<float>(0x40000000u + r.bits() % 8); }},
      {"any bits", [](Random& r) { return std::bit_cast<float>(r.bits()); }},
      {"mostly NaN", [](Random& r) { return r.below(4) ? kNan : r.normal(); }},
      {"all NaN", [](Random& r) { return r.below(2) ? kNan : -kNan; }},
      {"zeros of both signs", [](Random& r) { return r.below(2) ? 0.0f : -0.0f; }},
      {"infinities", [](Random& r) { return r.below(3)   ? r.normal()
                                            : r.below(2) ? kInf
                                                         : -kInf; }},
      {"negative infinity and NaN", [](Random& r) { return r.below(2) ? -kInf : kNan; }},
      {"subnormal", [](Random& r) { return std::bit_cast<float>(r.bits() & 0x800fffffu); }},
      {"one outlier in many", [](Random& r) { return r.below(1000) ? r.normal(1e-3f) : 1e30f; }},
  };
}

TEST_P(TopKKernel, MatchesTheReferenceExactly) {
  Random random;
  for (const Filling& filling : fillings()) {
    for (const std::int64_t n : {1, 2, 3, 15, 16, 17, 63, 64, 65, 97, 1000, 10240}) {
      std::vector<float> value(static_cast<std::size_t>(n));
      for (float& v : value) v = filling.draw(random);
      for (const std::int64_t k :
           {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, std::int64_t{21}, n / 2, n - 1, n, n + 5}) {
        const Chosen got = run(cpu::top_k, value, k), want = run(reference::top_k, value, k);
        const std::string what =
            std::string(filling.name) + " n " + std::to_string(n) + " k " + std::to_string(k);
        ASSERT_EQ(got.index, want.index) << what << ", seed " << kSeed;
        expect_same_bits(got.value, want.value, what);
      }
    }
  }
}

TEST_P(TopKKernel, MatchesTheReferenceOnALongRow) {
  Random random(1);
  const std::vector<float> value = random.normals(131072);
  for (const std::int64_t k : {1, 2048, 60000}) {
    ASSERT_EQ(run(cpu::top_k, value, k).index, run(reference::top_k, value, k).index);
  }
}

TEST_P(TopKKernel, TheSmallerIndexWinsTies) {
  EXPECT_EQ(run(cpu::top_k, {1, 3, 2, 3, 3, 1}, 2).index, (std::vector<std::int32_t>{1, 3}));
  EXPECT_EQ(run(cpu::top_k, {-0.0f, 0.0f, -0.0f}, 2).index, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(run(cpu::top_k, {kNan, -kInf, kNan, 4}, 4).index, (std::vector<std::int32_t>{3, 1}));
}

TEST_P(TopKKernel, ValuesAreOptionalAndAnEmptyArrayHasNone) {
  const std::vector<float> value{5, 7};
  std::int32_t index[2] = {-1, -1};
  EXPECT_EQ(cpu::top_k({value.data(), 2, 1, index, nullptr}), 1);
  EXPECT_EQ(index[0], 1);
  EXPECT_EQ(cpu::top_k({nullptr, 0, 2, index, nullptr}), 0);
}

TEST_P(TopKKernel, PooledProbabilitiesMatchTheReference) {
  Random random(2);
  for (const std::int64_t count : {1, 15, 16, 17, 97, 1000}) {
    for (const std::int32_t n_heads : {1, 3, 9}) {
      const std::int64_t stride = count + 3;
      std::vector<float> score = random.normals(static_cast<std::size_t>(n_heads * stride), 4.0f);
      const std::vector<float> log_sum_exp = random.normals(static_cast<std::size_t>(n_heads));
      for (std::int32_t h = 0; h < n_heads; ++h) {
        for (std::int64_t i = count; i < stride; ++i) score[static_cast<std::size_t>(h * stride + i)] = kNan;
      }
      std::vector<float> got(static_cast<std::size_t>(count)), want(got.size());
      cpu::pooled_prob({score.data(), log_sum_exp.data(), got.data(), n_heads, stride, count});
      reference::pooled_prob({score.data(), log_sum_exp.data(), want.data(), n_heads, stride, count});
      expect_near(got, want, {0, 1e-6}, "pooled");
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
