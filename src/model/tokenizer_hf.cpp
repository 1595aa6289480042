// The tokenizer of a Hugging Face folder.

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "model/json_file.h"
#include "model/printable.h"
#include "model/tokenizer.h"
#include "model/tokenizer_hf_pipeline.h"
#include "model/tokenizer_hf_spaces.h"
#include "model/tokenizer_hf_vocabulary.h"

namespace tide {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void refuse_unsupported(const JsonFields& model) {
  if (model.text("type") != "BPE") model.fail("type", "'BPE' (byte-level, or with byte fallback)");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.has(key) && model.value(key) != "") model.fail(key, "none");
  }
  if (model.has("dropout") && model.value("dropout") != 0.0) model.fail("dropout", "none");
}

void read_steps(const JsonFields& tokenizer, bool byte_fallback, TokenizerData& data) {
  if (!byte_fallback) {
    data.split = split_of_pre_tokenizer(tokenizer);
    data.nfc = normalises_to_nfc(tokenizer);
    return check_byte_level_decoder(tokenizer);
  }
  const SpaceSteps steps = read_space_steps(tokenizer);
  data.alphabet = Alphabet::byte_fallback;
  data.space_prefix = steps.prefix;
  data.marks_in_normal_form = tokenizer.has("normalizer");
  data.strips_space = steps.strips;
  data.split = steps.split;
}

/// The members of an optional file; of an empty object where there is none.
JsonFields optional_file(const fs::path& file) {
  return fs::exists(file) ? JsonFields(file) : JsonFields(file.string(), json::object());
}

/// The id of a token by its text; -1: none.
std::int32_t id_of(const TokenizerData& data, const std::string& token) {
  const auto found = std::find(data.tokens.begin(), data.tokens.end(), token);
  return found == data.tokens.end() || token.empty() ? -1
                                                     : static_cast<std::int32_t>(found - data.tokens.begin());
}

/// The token that tokenizer_config.json names: its text, or an object that holds it; -1: none.
std::int32_t named_token(const JsonFields& config, const std::string& key, const TokenizerData& data) {
  if (!config.has(key)) return -1;
  return id_of(data, config.value(key).is_object() ? config.object(key).text("content") : config.text(key));
}

/// The first of `files` that has bos_token_id or eos_token_id, a number or a list of them, decides. The first
/// of what is returned is the one: of a list `named` if it is there. In no file: `named`.
std::vector<std::int32_t> token_ids(const std::vector<JsonFields>& files, const std::string& key,
                                    std::int32_t named, std::size_t vocab_size) {
  for (const JsonFields& file : files) {
    if (!file.has(key)) continue;
    const json ids = file.value(key).is_array() ? file.value(key) : json::array({file.value(key)});
    for (const json& id : ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= vocab_size) {
        file.fail(key, fmt::format("ids of 0 to {}", vocab_size - 1));
      }
    }
    if (ids.empty()) continue;
    std::vector<std::int32_t> found = ids.get<std::vector<std::int32_t>>();
    const auto main = std::find(found.begin(), found.end(), named);
    if (main != found.end()) std::rotate(found.begin(), main, main + 1);
    return found;
  }
  return {named};
}

/// chat_template.jinja, or chat_template of tokenizer_config.json: a text, or named ones of which one is
/// "default".
std::string chat_template_of(const fs::path& folder, const JsonFields& config) {
  if (fs::exists(folder / "chat_template.jinja")) return read_text(folder / "chat_template.jinja");
  if (!config.has("chat_template")) return "";
  if (!config.value("chat_template").is_array()) return config.text("chat_template");
  for (const json& entry : config.array("chat_template")) {
    const JsonFields named(config.source() + ": chat_template", entry);
    if (named.text("name") == "default") return named.text("template");
  }
  return "";
}

}  // namespace

TokenizerData read_hf_tokenizer(const fs::path& folder, int vocab_size) {
  const JsonFields tokenizer(folder / "tokenizer.json");
  const JsonFields model = tokenizer.object("model");
  refuse_unsupported(model);
  TokenizerData data;
  read_steps(tokenizer, model.boolean("byte_fallback", false), data);
  data.ignore_merges = model.boolean("ignore_merges", false);
  data.tokens.resize(static_cast<std::size_t>(vocab_size));
  read_hf_vocabulary(tokenizer, data);

  const JsonFields config = optional_file(folder / "tokenizer_config.json");
  const std::vector<JsonFields> files = {optional_file(folder / "generation_config.json"),
                                         optional_file(folder / "config.json")};
  const auto ids = [&](const std::string& key, const std::string& name) {
    return token_ids(files, key, named_token(config, name, data), data.tokens.size());
  };
  data.more_eos_ids = ids("eos_token_id", "eos_token");
  data.eos_id = data.more_eos_ids.front();
  data.more_eos_ids.erase(data.more_eos_ids.begin());
  data.bos_id = ids("bos_token_id", "bos_token").front();
  if (const auto first = leading_token(tokenizer)) {
    if (*first >= vocab_size) tokenizer.fail("post_processor", fmt::format("an id below {}", vocab_size));
    data.bos_id = static_cast<std::int32_t>(*first);
    data.add_bos = true;
  }
  data.chat_template = chat_template_of(folder, config);
  return data;
}

}  // namespace tide
