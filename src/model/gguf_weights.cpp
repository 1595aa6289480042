#include "model/gguf_weights.h"

#include "model/architecture.h"
#include "model/collect_weights.h"
#include "model/gguf_rope.h"

namespace tide {

namespace {

const TensorNames kNames = {.embedding = "token_embd",
                            .final_norm = "output_norm",
                            .lm_head = "output",
                            .layers = "blk",
                            .attention_norm = "attn_norm",
                            .q = "attn_q",
                            .k = "attn_k",
                            .v = "attn_v",
                            .output = "attn_output",
                            .q_norm = "attn_q_norm",
                            .k_norm = "attn_k_norm",
                            .ffn_norm = "ffn_norm",
                            .gate = "ffn_gate",
                            .up = "ffn_up",
                            .down = "ffn_down"};

}  // namespace

std::unique_ptr<Weights> collect_gguf_weights(WeightLoader& loader, const GgufFile& file,
                                              const ModelConfig& config) {
  const bool tied = !file.has_tensor(weight_name(kNames.lm_head));
  auto weights = collect_weights(loader, config, kNames, tied,
                                 find_architecture(config.architecture)->interleaved_in_gguf);
  loader.ignore(kRotaryDivisors);  // part of the configuration
  loader.refuse_unused();
  return weights;
}

}  // namespace tide
