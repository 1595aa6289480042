// tokenselect's pass over the prompt (arXiv 2411.02886): what a chunk's queries read of the positions before
// it is voted by their mean, as in decoding by one query: softmax weights, summed over heads.

#include <vector>

#include "kernels/attention.h"
#include "policy/tokenselect_rule.h"

namespace tide {

namespace {

class TokenSelectReader final : public PromptReader {
 public:
  TokenSelectReader(const TokenSelectRule& rule, const ModelConfig& config, std::span<const Role> placement)
      : rule_(rule), placement_(placement), size_(config.n_heads * config.head_dim) {
    if (rule.raw) raw_ = std::make_unique<RawScores>(config);
    log_sum_exp_.resize(static_cast<std::size_t>(config.n_heads));
  }

  const PositionSets* choose(const ChunkStep& chunk) override {
    const LayerStep& before = chunk.before;
    if (placement_[static_cast<std::size_t>(before.layer)] != Role::estimate) return nullptr;
    if (rule_.budget.at(before.kv_len) == before.kv_len) return nullptr;
    take_mean(chunk);
    rule_.choose(before, raw_ ? raw_->of(before, mean_.data()) : rotated_scores(before), selector_, sets_);
    sets_.contiguous = rule_.contiguous;
    return &sets_;
  }

 private:
  /// Of the queries as they vote, in the order of their positions.
  void take_mean(const ChunkStep& chunk) {
    const auto size = static_cast<std::size_t>(size_);
    std::vector<double>& sum = sum_;
    sum.assign(size, 0);
    mean_.resize(size);
    for (std::int64_t row = 0; row < chunk.count; ++row) {
      const float* query = chunk.query + row * size_;
      if (raw_) {
        raw_->unrotate(query, chunk.before.kv_len + row, mean_.data());
        query = mean_.data();
      }
      for (std::size_t i = 0; i < size; ++i) sum[i] += query[i];
    }
    for (std::size_t i = 0; i < size; ++i)
      mean_[i] = static_cast<float>(sum[i] / static_cast<double>(chunk.count));
  }

  LayerScores rotated_scores(const LayerStep& before) {
    const auto n_heads = static_cast<std::size_t>(before.config->n_heads);
    score_.resize(n_heads * static_cast<std::size_t>(before.kv_len));
    const kernels::ScoreRow row{mean_.data(), before.kv, score_.data(), before.kv_len, log_sum_exp_.data()};
    kernels::cpu::attention_scores({&row, 1}, before.config->n_heads, *before.pool);
    return {score_.data(), log_sum_exp_.data(), before.kv_len, before.kv_len};
  }

  const TokenSelectRule& rule_;
  std::span<const Role> placement_;
  std::int64_t size_;
  std::unique_ptr<RawScores> raw_;
  Selector selector_;
  PositionSets sets_;
  std::vector<double> sum_;
  std::vector<float> mean_, score_, log_sum_exp_;
};

}  // namespace

std::unique_ptr<PromptReader> make_tokenselect_reader(const TokenSelectRule& rule, const ModelConfig& config,
                                                      std::span<const Role> placement) {
  return std::make_unique<TokenSelectReader>(rule, config, placement);
}

}  // namespace tide
