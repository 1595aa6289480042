#include "policy/raw_scores.h"

#include <algorithm>
#include <cmath>

#include "decode/cached_rows.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"

namespace tide {

namespace {

constexpr std::int64_t kBlock = 2048;  // keys turned back at once
constexpr std::int64_t kPart = 64;     // of them by one thread

}  // namespace

RawScores::RawScores(const ModelConfig& config)
    : angles_(config), turns_(angles_), n_heads_(config.n_heads), head_dim_(config.head_dim) {
  cosine_.resize(static_cast<std::size_t>(angles_.half_dim()));
  sine_.resize(cosine_.size());
  angles_.at(0, cosine_.data(), sine_.data());
  factor_ = cosine_[0];
  query_.resize(static_cast<std::size_t>(n_heads_ * head_dim_));
  sum_.resize(static_cast<std::size_t>(n_heads_));
  block_.resize(sum_.size());
}

void RawScores::unrotate(const float* rotated, std::int64_t position, float* raw) {
  turns_.reach(position + 1);
  turns_.turn(position, 0, cosine_.data(), sine_.data());
  const std::int64_t size = std::int64_t{n_heads_} * head_dim_;
  for (std::int64_t i = 0; i < size; ++i) raw[i] = rotated[i] / factor_;
  kernels::cpu::rope({raw, cosine_.data(), sine_.data(), n_heads_, head_dim_});
}

/// Keys at positions begin .. begin + count - 1, turned back.
void RawScores::take_keys(const LayerStep& step, std::int64_t begin, std::int64_t count) {
  const kernels::KvView& kv = step.kv;
  const std::int64_t parts = (count + kPart - 1) / kPart;
  step.pool->run(kv.n_kv_heads * parts, [&](std::int64_t task) {
    const auto kv_head = static_cast<int>(task / parts);
    const std::int64_t first = task % parts * kPart;
    thread_local std::vector<float> cosine, sine;
    cosine.resize(static_cast<std::size_t>(head_dim_ / 2));
    sine.resize(cosine.size());
    for (std::int64_t i = first; i < std::min(first + kPart, count); ++i) {
      float* to = key_.data() + (kv_head * kBlock + i) * head_dim_;
      kernels::cpu::convert(
          {cached_row(kv, false, kv_head, begin + i), to, head_dim_, kv.dtype, kernels::DType::f32});
      turns_.turn(begin + i, 0, cosine.data(), sine.data());
      kernels::cpu::rope({to, cosine.data(), sine.data(), 1, head_dim_});
    }
  });
}

LayerScores RawScores::of(const LayerStep& step, const float* raw_query) {
  turns_.reach(step.kv_len);
  key_.resize(static_cast<std::size_t>(step.kv.n_kv_heads * kBlock * head_dim_));
  if (stride_ < step.kv_len) {
    stride_ = step.kv_len + step.kv_len / 4;
    score_.resize(static_cast<std::size_t>(n_heads_ * stride_));
  }
  // The kernel scales its products; the keys still carry the rotation's factor.
  const float scale = std::sqrt(static_cast<float>(head_dim_)) / factor_;
  for (std::size_t i = 0; i < query_.size(); ++i) query_[i] = raw_query[i] * scale;
  for (std::int64_t begin = step.first; begin < step.kv_len; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, step.kv_len - begin);
    take_keys(step, begin, count);
    kernels::KvView view{kernels::DType::f32, step.kv.n_kv_heads, head_dim_, {}};
    view.segment[0] = {key_.data(), key_.data(), kBlock * head_dim_, 0, count};
    view.segment[1].begin = count;
    float* sum = begin == step.first ? sum_.data() : block_.data();
    const kernels::ScoreRow row{query_.data(), view, score_.data() + begin, stride_, sum};
    kernels::cpu::attention_scores({&row, 1}, n_heads_, *step.pool);
    for (std::size_t head = 0; begin > step.first && head < sum_.size(); ++head) {
      const auto [low, high] = std::minmax(sum_[head], block_[head]);
      sum_[head] = high + std::log1p(std::exp(low - high));
    }
  }
  return {score_.data(), sum_.data(), stride_, step.kv_len, step.first};
}

}  // namespace tide
