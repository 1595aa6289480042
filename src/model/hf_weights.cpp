#include "model/hf_weights.h"

#include <array>

#include "base/error.h"
#include "model/collect_weights.h"

namespace tide {

namespace {

const TensorNames kNames = {.embedding = "model.embed_tokens",
                            .final_norm = "model.norm",
                            .lm_head = "lm_head",
                            .layers = "model.layers",
                            .attention_norm = "input_layernorm",
                            .q = "self_attn.q_proj",
                            .k = "self_attn.k_proj",
                            .v = "self_attn.v_proj",
                            .output = "self_attn.o_proj",
                            .q_norm = "self_attn.q_norm",
                            .k_norm = "self_attn.k_norm",
                            .ffn_norm = "post_attention_layernorm",
                            .gate = "mlp.gate_proj",
                            .up = "mlp.up_proj",
                            .down = "mlp.down_proj"};

}  // namespace

void check_embedding(const TensorSource& source, const ModelConfig& config) {
  source.tensor(weight_name(kNames.embedding),
                std::array<std::int64_t, 2>{config.vocab_size, config.hidden_size});
}

std::unique_ptr<Weights> collect_hf_weights(WeightLoader& loader, const HfConfig& config) {
  auto weights = collect_weights(loader, config.model, kNames, config.tied);
  // transformers leaves these alone too: a second copy of a tied embedding, and rotary frequencies that are
  // made from rope_theta.
  if (config.tied) loader.ignore(weight_name(kNames.lm_head));
  for (int layer = 0; layer < config.model.n_layers; ++layer) {
    loader.ignore(fmt::format("{}.{}.self_attn.rotary_emb.inv_freq", kNames.layers, layer));
  }
  loader.refuse_unused();
  return weights;
}

}  // namespace tide
