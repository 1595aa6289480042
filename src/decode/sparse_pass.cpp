#include "decode/sparse_pass.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "decode/cached_rows.h"
#include "kernels/elementwise.h"

namespace tide {

namespace {

constexpr std::int64_t kPart = 64;  // rows that a thread copies at once

}  // namespace

std::optional<ChunkRows> SparsePass::read(int layer, std::int64_t begin, std::int64_t count,
                                          const float* query, const kernels::KvView& kv) {
  if (begin == 0) return std::nullopt;
  ChunkStep chunk{};
  LayerStep& before = chunk.before;
  before.layer = layer;
  before.step = -1;
  before.kv_len = begin;
  before.kv = kv;
  before.kv.segment[0].count = begin;
  before.kv.segment[1] = {};
  before.kv.segment[1].begin = begin;
  before.config = &config_;
  before.pool = &pool_;
  chunk.query = query;
  chunk.count = count;
  const PositionSets* chosen = reader_->choose(chunk);
  if (chosen == nullptr) return std::nullopt;
  TIDE_ASSERT(chosen->n_sets == 1);
  return gather(*chosen, begin, count, kv);
}

ChunkRows SparsePass::gather(const PositionSets& chosen, std::int64_t begin, std::int64_t count,
                             const kernels::KvView& kv) {
  const std::int64_t n = chosen.count[0], rows = n + count, head_dim = kv.head_dim;
  position_.assign(chosen.position.begin(), chosen.position.begin() + n);
  std::sort(position_.begin(), position_.end());
  position_.resize(static_cast<std::size_t>(rows));
  std::iota(position_.begin() + n, position_.end(), static_cast<std::int32_t>(begin));
  const auto size = static_cast<std::size_t>(kv.n_kv_heads * rows * head_dim);
  if (k_.size() < size) k_.resize(size), v_.resize(size);
  if (chosen.contiguous) turns_.reach(begin);
  const std::int64_t parts = (rows + kPart - 1) / kPart;
  pool_.run(kv.n_kv_heads * parts, [&](std::int64_t task) {
    const auto kv_head = static_cast<int>(task / parts);
    const std::int64_t from = task % parts * kPart;
    thread_local std::vector<float> cosine, sine;
    cosine.resize(static_cast<std::size_t>(head_dim / 2));
    sine.resize(cosine.size());
    for (std::int64_t row = from; row < std::min(from + kPart, rows); ++row) {
      const std::int64_t position = position_[static_cast<std::size_t>(row)];
      const std::int64_t at = (kv_head * rows + row) * head_dim;
      const auto unpack = [&](bool value, float* to) {
        kernels::cpu::convert(
            {cached_row(kv, value, kv_head, position), to, head_dim, kv.dtype, kernels::DType::f32});
      };
      unpack(false, k_.data() + at);
      unpack(true, v_.data() + at);
      // What is chosen ends where the chunk begins; the chunk stays where it is, as its cached keys do.
      const std::int64_t anew = begin - n + row;
      if (!chosen.contiguous || row >= n || anew == position) continue;
      turns_.turn(position, anew, cosine.data(), sine.data());
      kernels::cpu::rope(
          {k_.data() + at, cosine.data(), sine.data(), 1, static_cast<std::int32_t>(head_dim)});
    }
  });
  kernels::KvView view{kernels::DType::f32, kv.n_kv_heads, kv.head_dim, {}};
  view.segment[0] = {k_.data(), v_.data(), rows * head_dim, 0, rows};
  view.segment[1].begin = rows;
  return {view, n};
}

}  // namespace tide
