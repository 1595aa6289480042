// config.json: what is read of each architecture.

#include <gmock/gmock.h>

#include <cmath>

#include "tests/model/hf_config_helpers.h"

namespace tide::testing {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(HfConfigFile, OfLlamaMayHaveBiases) {
  EXPECT_FALSE(read().qkv_bias || read().output_bias || read().qk_norm);
  config_["attention_bias"] = true;
  EXPECT_TRUE(read().qkv_bias && read().output_bias);
}

TEST_F(HfConfigFile, OfMistralHasOneWindow) {
  use("mistral", "Mistral");
  config_["sliding_window"] = 100;
  EXPECT_EQ(read().architecture, "mistral");
  EXPECT_THAT(read().window, ElementsAre(100, 100, 100, 100, 100));
  config_["layer_types"] = std::vector<std::string>(5, "sliding_attention");
  EXPECT_THAT(read().window, Each(100));
  config_.erase("layer_types");
  config_["sliding_window"] = nullptr;
  EXPECT_THAT(read().window, IsEmpty());
  config_.erase("sliding_window");
  EXPECT_THAT(read().window, Each(4096));  // as transformers' class has it
}

TEST_F(HfConfigFile, OfQwen2HasBiasesAndWindowsFromALayerOn) {
  use("qwen2", "Qwen2");
  EXPECT_TRUE(read().qkv_bias);
  EXPECT_FALSE(read().output_bias || read().qk_norm);
  config_["sliding_window"] = 100;
  config_["max_window_layers"] = 3;
  EXPECT_THAT(read().window, IsEmpty());  // use_sliding_window is false unless said
  config_["use_sliding_window"] = true;
  EXPECT_THAT(read().window, ElementsAre(0, 0, 0, 100, 100));
  config_["max_window_layers"] = 0;
  EXPECT_THAT(read().window, Each(100));
  config_["layer_types"] = {"full_attention", "sliding_attention", "full_attention", "full_attention",
                            "sliding_attention"};
  EXPECT_THAT(read().window, ElementsAre(0, 100, 0, 0, 100));
  config_.erase("layer_types");
  config_.erase("max_window_layers");
  EXPECT_THAT(read().window, Each(0));  // from layer 28 on
}

TEST_F(HfConfigFile, OfQwen3HasNormsOfHeads) {
  use("qwen3", "Qwen3");
  EXPECT_TRUE(read().qk_norm);
  EXPECT_FALSE(read().qkv_bias);
  config_.erase("head_dim");
  EXPECT_EQ(read().head_dim, 128);  // as transformers' class has it
  config_["attention_bias"] = true;
  EXPECT_TRUE(read().qkv_bias && read().output_bias);
}

TEST_F(HfConfigFile, HasAnyRatioOfHeads) {
  for (const auto& [heads, kv_heads] : {std::pair{15, 5}, {7, 1}, {6, 6}}) {
    config_["num_attention_heads"] = heads;
    config_["num_key_value_heads"] = kv_heads;
    EXPECT_EQ(read().group_size(), heads / kv_heads);
  }
}

TEST_F(HfConfigFile, WithLinearScalingHasALongerContext) {
  config_["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.5}, {"rope_theta", 5000}};
  EXPECT_EQ(read().rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(read().rope_scaling.factor, 2.5);
  EXPECT_EQ(read().rope_theta, 5000);
  EXPECT_EQ(read().max_positions, 1280);
}

TEST_F(HfConfigFile, WithLlama3ScalingSaysTheWholeContextItself) {
  config_["rope_parameters"] = {{"rope_type", "llama3"}, {"factor", 8},
                                {"low_freq_factor", 1},  {"high_freq_factor", 4},
                                {"rope_theta", 500000},  {"original_max_position_embeddings", 128}};
  const ModelConfig read_config = read();
  EXPECT_EQ(read_config.rope_scaling.kind, RopeScaling::Kind::llama3);
  EXPECT_EQ(read_config.rope_scaling.original_positions, 128);
  EXPECT_EQ(read_config.rope_scaling.high_frequency_factor, 4);
  EXPECT_EQ(read_config.max_positions, 512);
}

TEST_F(HfConfigFile, WithYarnScalesAttentionAsTransformersDoes) {
  json& rope = config_["rope_parameters"];
  rope = {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 512}};
  EXPECT_DOUBLE_EQ(read().rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(read().max_positions, 2048);
  rope["mscale"] = 0.8;
  EXPECT_DOUBLE_EQ(read().rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1);  // one of two says nothing
  rope["mscale_all_dim"] = 0.5;
  EXPECT_DOUBLE_EQ(read().rope_scaling.attention_factor,
                   (0.08 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1));
  rope["attention_factor"] = 1.5;
  EXPECT_EQ(read().rope_scaling.attention_factor, 1.5);
  rope["beta_fast"] = 20;
  rope["beta_slow"] = 2;
  rope["truncate"] = false;
  EXPECT_EQ(read().rope_scaling.beta_fast, 20);
  EXPECT_EQ(read().rope_scaling.beta_slow, 2);
  EXPECT_FALSE(read().rope_scaling.truncate);
  rope["original_max_position_embeddings"] = 128;
  rope["factor"] = nullptr;
  EXPECT_EQ(read().rope_scaling.factor, 4);  // 512 / 128
}

TEST_F(HfConfigFile, InItsOlderFormSaysTheSame) {
  config_.erase("rope_parameters");
  config_["rope_theta"] = 500000;
  config_["rope_scaling"] = {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 256}};
  EXPECT_EQ(read().rope_scaling.kind, RopeScaling::Kind::yarn);
  EXPECT_EQ(read().rope_theta, 500000);
  EXPECT_EQ(read().max_positions, 1024);
}

}  // namespace
}  // namespace tide::testing
