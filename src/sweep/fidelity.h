#pragma once
// Teacher-forced measures of contracts.md section 6: log-probability of the reference answer and
// fidelity to full attention, on the same tokens.

#include <cstdint>
#include <span>
#include <vector>

namespace tide {

/// Natural logarithm of the softmax of `logits`, in place of `log_prob`; both [vocab_size].
void log_softmax(std::span<const float> logits, std::vector<float>& log_prob);

/// Full attention's next-token distributions along the reference tokens.
struct FidelityReference {
  std::vector<std::vector<float>> log_prob;  ///< [tokens][vocab_size]
};

/// One policy's pass over the reference tokens; step t's distribution predicts answer_ids[t].
class FidelityMeasure {
 public:
  explicit FidelityMeasure(std::span<const std::int32_t> answer_ids) : answer_ids_(answer_ids) {}

  /// Takes the distribution of the next token. `reference` must hold that step.
  void add(std::span<const float> logits, const FidelityReference& reference);

  double answer_logprob() const { return answer_logprob_ / steps(); }  ///< mean, nats
  double kl() const { return kl_ / steps(); }                          ///< mean KL(full || policy), nats
  double agree() const { return agree_ / steps(); }                    ///< share of equal argmax

 private:
  double steps() const { return static_cast<double>(step_); }

  std::span<const std::int32_t> answer_ids_;
  std::vector<float> log_prob_;
  std::size_t step_ = 0;
  double answer_logprob_ = 0, kl_ = 0, agree_ = 0;
};

}  // namespace tide
