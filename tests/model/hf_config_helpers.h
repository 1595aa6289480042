#pragma once
// A config.json of a tiny model, changed key by key and read.

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "model/hf_config.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_folder.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {

/// The value of a key that is to be left out.
inline const nlohmann::json kMissing = nlohmann::json(nlohmann::json::value_t::discarded);

class HfConfigFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(path_); }

  void use(const std::string& architecture, const std::string& name) {
    config_["model_type"] = architecture;
    config_["architectures"] = {name + "ForCausalLM"};
  }
  void set(const std::string& key, const nlohmann::json& value) {
    if (value.is_discarded()) {
      config_.erase(key);
    } else {
      config_[key] = value;
    }
  }
  ModelConfig read() {
    std::filesystem::create_directories(path_);
    std::ofstream(path_ / "config.json") << config_.dump();
    return read_hf_config(path_).model;
  }
  void expect_refused(const std::string& part) {
    expect_input_error([&] { read(); }, part);
    expect_input_error([&] { read(); }, (path_ / "config.json").string());
  }

  nlohmann::json config_ = tiny_hf().config;
  std::filesystem::path path_ = std::filesystem::path(::testing::TempDir()) /
                                fmt::format("tide_hf_config_{}", static_cast<const void*>(this));
};

}  // namespace tide::testing
