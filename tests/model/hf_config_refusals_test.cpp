// config.json: what is refused, by name.

#include <gmock/gmock.h>

#include "base/error.h"
#include "tests/model/hf_config_helpers.h"
#include "tests/support/checkpoint_checks.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// ---- Numbers

struct Number {
  const char* name;
  json value;
};

/// A key with a value that no size can have.
class HfSize : public HfConfigFile, public ::testing::WithParamInterface<std::tuple<const char*, Number>> {};

TEST_P(HfSize, IsRefused) {
  const auto& [key, number] = GetParam();
  set(key, number.value);
  expect_refused(number.value.is_discarded() ? fmt::format("{} is missing", key)
                                             : fmt::format("{} is {}, expected a whole number from 1 to 2^30",
                                                           key, number.value.dump()));
}

std::string name_of_number(const ::testing::TestParamInfo<std::tuple<const char*, Number>>& test) {
  return fmt::format("{}_{}", std::get<0>(test.param), std::get<1>(test.param).name);
}

const auto kBadSizes = ::testing::Values(
    Number{"zero", 0}, Number{"negative", -8}, Number{"fraction", 8.5}, Number{"whole_as_fraction", 8.0},
    Number{"text", "8"}, Number{"truth", true}, Number{"list", {8}},
    Number{"huge", (std::int64_t{1} << 30) + 8}, Number{"beyond_64_bits", 1e30});

INSTANTIATE_TEST_SUITE_P(Values, HfSize,
                         ::testing::Combine(::testing::Values("hidden_size", "intermediate_size",
                                                              "num_hidden_layers", "num_attention_heads",
                                                              "num_key_value_heads", "head_dim", "vocab_size",
                                                              "max_position_embeddings"),
                                            kBadSizes),
                         name_of_number);

INSTANTIATE_TEST_SUITE_P(Absent, HfSize,
                         ::testing::Combine(::testing::Values("hidden_size", "intermediate_size",
                                                              "num_hidden_layers", "num_attention_heads",
                                                              "vocab_size", "max_position_embeddings"),
                                            ::testing::Values(Number{"missing", kMissing})),
                         name_of_number);

/// A setting of rope_parameters, or rms_norm_eps beside it, that must be a number above 0.
class HfNumber : public HfConfigFile,
                 public ::testing::WithParamInterface<std::tuple<const char*, Number>> {};

TEST_P(HfNumber, IsRefused) {
  const auto& [key, number] = GetParam();
  config_["rope_parameters"] = {
      {"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 128}};
  if (std::string(key).ends_with("freq_factor")) {
    config_["rope_parameters"].update(
        {{"rope_type", "llama3"}, {"low_freq_factor", 1}, {"high_freq_factor", 4}});
  }
  (std::string(key) == "rms_norm_eps" ? config_ : config_["rope_parameters"])[key] = number.value;
  expect_refused(fmt::format("{} is {}, expected a number above 0", key, number.value.dump()));
}

INSTANTIATE_TEST_SUITE_P(
    Values, HfNumber,
    ::testing::Combine(::testing::Values("rms_norm_eps", "rope_theta", "factor", "low_freq_factor",
                                         "high_freq_factor", "beta_fast", "beta_slow", "attention_factor"),
                       ::testing::Values(Number{"zero", 0}, Number{"negative", -1.5}, Number{"text", "4"},
                                         Number{"truth", true}, Number{"list", {4}})),
    name_of_number);

/// What JSON cannot hold, at any key.
class HfNoNumber : public HfConfigFile,
                   public ::testing::WithParamInterface<std::tuple<const char*, const char*>> {};

TEST_P(HfNoNumber, IsRefusedByTheKeyBeforeIt) {
  const auto& [key, value] = GetParam();
  config_.erase(key);
  fs::create_directories(path_);
  std::string text = config_.dump();
  text.insert(1, fmt::format("\"{}\":{},", key, value));
  std::ofstream(path_ / "config.json") << text;
  expect_input_error([&] { read_hf_config(path_); }, fmt::format("after the key '{}'", key));
}

INSTANTIATE_TEST_SUITE_P(Values, HfNoNumber,
                         ::testing::Combine(::testing::Values("hidden_size", "rms_norm_eps", "rope_theta"),
                                            ::testing::Values("NaN", "Infinity", "-Infinity", "1e999")));

// ---- Settings

struct Setting {
  const char* name;
  const char* architecture;  ///< "llama", "mistral", "qwen2", "qwen3"
  json changes;
  const char* message;
};

class HfSetting : public HfConfigFile, public ::testing::WithParamInterface<Setting> {};

TEST_P(HfSetting, IsRefused) {
  const std::string architecture = GetParam().architecture;
  std::string name = architecture;
  name[0] = static_cast<char>(std::toupper(name[0]));
  use(architecture, name);
  for (const auto& [key, value] : GetParam().changes.items()) config_[key] = value;
  expect_refused(GetParam().message);
}

json rope(json settings) { return {{"rope_parameters", std::move(settings)}}; }

INSTANTIATE_TEST_SUITE_P(
    Rope, HfSetting,
    ::testing::Values(
        Setting{
            "Dynamic", "llama", rope({{"rope_type", "dynamic"}, {"factor", 2}}),
            "rope_parameters: rope_type is \"dynamic\", expected 'default', 'linear', 'llama3' or 'yarn'"},
        Setting{"TypeThatIsNoText", "llama", rope({{"rope_type", 3}}), "rope_type is 3, expected 'default'"},
        Setting{"NoObject", "llama", {{"rope_parameters", 4}}, "rope_parameters is 4, expected an object"},
        Setting{"ByLayerType", "qwen2", rope({{"full_attention", {{"rope_type", "default"}}}}),
                "full_attention is {\"rope_type\":\"default\"}, expected a number: one set"},
        Setting{"PartOfAHead", "llama", rope({{"partial_rotary_factor", 0.5}}),
                "partial_rotary_factor is 0.5, expected 1"},
        Setting{"PartOfAHeadOutside",
                "llama",
                {{"partial_rotary_factor", 0.5}},
                "partial_rotary_factor is 0.5, expected 1"},
        Setting{
            "TwoForms",
            "llama",
            {{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}},
            "rope_scaling is {\"factor\":2,\"type\":\"linear\"}, expected nothing else than rope_parameters"},
        Setting{"LinearWithoutFactor", "llama", rope({{"rope_type", "linear"}}),
                "rope_parameters: factor is missing"},
        Setting{"YarnWithoutFactor", "llama", rope({{"rope_type", "yarn"}}),
                "rope_parameters: factor is missing"},
        Setting{"Llama3WithoutBounds", "llama", rope({{"rope_type", "llama3"}, {"factor", 8}}),
                "rope_parameters: low_freq_factor is missing"},
        Setting{
            "Llama3BoundsInReverse", "llama",
            rope({{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}),
            "high_freq_factor is 4, expected above low_freq_factor 4"},
        Setting{"OriginalContextOfNothing", "llama",
                rope({{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 0}}),
                "original_max_position_embeddings is 0, expected a whole number"},
        Setting{"TwoOriginalContexts",
                "llama",
                {{"rope_parameters",
                  {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 128}}},
                 {"original_max_position_embeddings", 64}},
                "original_max_position_embeddings is 64, expected 128, as the rotary settings have it"},
        Setting{"FactorBeyondBounds", "llama", rope({{"rope_type", "linear"}, {"factor", 1e9}}),
                "factor is 1000000000.0, expected one that leads from 512 to at most 2^30 positions"},
        Setting{"TruncateThatIsNoTruth", "llama",
                rope({{"rope_type", "yarn"}, {"factor", 4}, {"truncate", 1}}),
                "truncate is 1, expected true or false"},
        Setting{"NegativeScale", "llama",
                rope({{"rope_type", "yarn"}, {"factor", 4}, {"mscale", -1}, {"mscale_all_dim", 1}}),
                "mscale is -1, expected a number above 0"},
        Setting{"YarnOfThetaOne", "llama", rope({{"rope_type", "yarn"}, {"factor", 4}, {"rope_theta", 1}}),
                "rope_theta is 1, expected another number beside yarn"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Windows, HfSetting,
    ::testing::Values(
        Setting{"OfLlama",
                "llama",
                {{"sliding_window", 64}},
                "sliding_window is 64, expected none: llama has no"},
        Setting{"Zero", "mistral", {{"sliding_window", 0}}, "sliding_window is 0, expected a whole number"},
        Setting{
            "Negative", "mistral", {{"sliding_window", -1}}, "sliding_window is -1, expected a whole number"},
        Setting{"Text",
                "mistral",
                {{"sliding_window", "all"}},
                "sliding_window is \"all\", expected a whole number"},
        Setting{"ListOfMistral",
                "mistral",
                {{"sliding_window", 64}, {"layer_types", std::vector<std::string>(5, "full_attention")}},
                "expected \"sliding_attention\" at every layer of mistral"},
        Setting{"ListOfLlama",
                "llama",
                {{"layer_types", std::vector<std::string>(5, "sliding_attention")}},
                "expected \"full_attention\" at every layer of llama"},
        Setting{"ListTooShort",
                "qwen2",
                {{"layer_types", std::vector<std::string>(4, "full_attention")}},
                "layer_types names 4 layers, expected num_hidden_layers 5"},
        Setting{"ListOfAnotherType",
                "qwen3",
                {{"layer_types", {"full_attention", "linear_attention"}}},
                "layer_types: layer 1 is \"linear_attention\", expected \"full_attention\" or "
                "\"sliding_attention\""},
        Setting{"ListThatIsNone", "qwen2", {{"layer_types", 5}}, "layer_types is 5, expected an array"},
        Setting{"ListWithoutUse",
                "qwen2",
                {{"sliding_window", 64}, {"layer_types", std::vector<std::string>(5, "sliding_attention")}},
                "\"full_attention\" at every layer: no sliding window is in use"},
        Setting{"UseThatIsNoTruth",
                "qwen2",
                {{"use_sliding_window", 1}},
                "use_sliding_window is 1, expected true or false"},
        Setting{"FirstLayerNegative",
                "qwen2",
                {{"use_sliding_window", true}, {"max_window_layers", -1}},
                "max_window_layers is -1, expected a whole number from 0 on"},
        Setting{"FirstLayerFraction",
                "qwen2",
                {{"use_sliding_window", true}, {"max_window_layers", 1.5}},
                "max_window_layers is 1.5, expected a whole number from 0 on"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Parts, HfSetting,
    ::testing::Values(
        Setting{"BiasOfMistral",
                "mistral",
                {{"attention_bias", true}},
                "attention_bias is true, expected false: mistral has no such setting"},
        Setting{"BiasOfTheFeedForward", "qwen3", {{"mlp_bias", true}}, "mlp_bias is true, expected false"},
        Setting{"BiasByText",
                "llama",
                {{"attention_bias", "yes"}},
                "attention_bias is \"yes\", expected true or"},
        Setting{"KvHeadsThatDoNotDivide",
                "qwen2",
                {{"num_key_value_heads", 4}},
                "num_key_value_heads is 4, expected a divisor of num_attention_heads 6"},
        Setting{"MoreKvHeadsThanHeads", "qwen2", {{"num_key_value_heads", 12}}, "expected a divisor of"},
        Setting{"ClassOfAnotherArchitecture",
                "qwen2",
                {{"architectures", {"Qwen3ForCausalLM"}}},
                "architectures is [\"Qwen3ForCausalLM\"], expected [\"Qwen2ForCausalLM\"]"}),
    [](const auto& test) { return test.param.name; });

struct Other {
  const char* name;
};

class HfArchitecture : public HfConfigFile, public ::testing::WithParamInterface<Other> {};

TEST_P(HfArchitecture, IsRefused) {
  config_["model_type"] = GetParam().name;
  expect_refused(
      fmt::format("model_type is \"{}\", expected 'llama', 'mistral', 'qwen2' or 'qwen3'", GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(Names, HfArchitecture,
                         ::testing::Values(Other{"gemma2"}, Other{"phi3"}, Other{"mixtral"},
                                           Other{"qwen2_moe"}, Other{"gpt2"}, Other{"mamba"}),
                         [](const auto& test) { return test.param.name; });

TEST_F(HfConfigFile, OfMistralWithoutKvHeadsIsRefused) {
  use("mistral", "Mistral");
  config_.erase("num_key_value_heads");
  expect_refused("num_key_value_heads is missing");
}

TEST_F(HfConfigFile, WithAnyByteChangedIsReadOrRefused) {
  use("qwen2", "Qwen2");
  config_["rope_parameters"] = {
      {"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 128}};
  config_["use_sliding_window"] = true;
  config_["sliding_window"] = 64;
  config_["max_window_layers"] = 2;
  EXPECT_NO_THROW(read());
  const int refused = refused_changes(config_.dump(), [&](const std::string& changed) -> std::string {
    std::ofstream(path_ / "config.json") << changed;
    try {
      read_hf_config(path_);
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  });
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace tide::testing
