#include "sweep/fidelity.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "decode/decoder.h"

namespace tide {

void log_softmax(std::span<const float> logits, std::vector<float>& log_prob) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  const double log_sum = static_cast<double>(highest) + std::log(sum);
  log_prob.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    log_prob[i] = static_cast<float>(static_cast<double>(logits[i]) - log_sum);
}

void FidelityMeasure::add(std::span<const float> logits, const FidelityReference& reference) {
  TIDE_ASSERT(step_ < answer_ids_.size() && step_ < reference.log_prob.size());
  const std::vector<float>& full = reference.log_prob[step_];
  log_softmax(logits, log_prob_);
  double kl = 0;
  for (std::size_t i = 0; i < full.size(); ++i) {
    kl += std::exp(full[i]) * (static_cast<double>(full[i]) - static_cast<double>(log_prob_[i]));
  }
  kl_ += std::max(kl, 0.0);  // rounding can leave a hair below 0 where the two are equal
  answer_logprob_ += log_prob_[static_cast<std::size_t>(answer_ids_[step_])];
  agree_ += argmax(full) == argmax(log_prob_) ? 1 : 0;
  ++step_;
}

}  // namespace tide
