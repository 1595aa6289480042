#include "model/tokenizer_hf_vocabulary.h"

#include <utility>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"

namespace tide {

namespace {

using nlohmann::json;

/// Tokens by id, ids without one left empty.
class TokenTable {
 public:
  TokenTable(TokenizerData& data, std::string source) : data_(data), source_(std::move(source)) {
    data_.is_special.resize(data_.tokens.size());
  }

  /// A token may be given twice with the same id: in the vocabulary, and as an added one.
  std::int32_t add(const std::string& token, const json& id_value, bool is_special) {
    const std::size_t id = checked(token, id_value);
    std::string& place = data_.tokens[id];
    if (!place.empty() && place != token) {
      fail_input("{}: token '{}': its id {} is that of '{}'", source_, printable(token), id,
                 printable(place));
    }
    place = token;
    data_.is_special[id] = is_special;
    return static_cast<std::int32_t>(id);
  }

 private:
  std::size_t checked(const std::string& token, const json& id) const {
    if (token.empty()) fail_input("{}: a token without text", source_);
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= data_.tokens.size()) {
      fail_input("{}: token '{}': id {}, expected 0 to vocab_size - 1 = {}", source_, printable(token),
                 printable(id.dump()), data_.tokens.size() - 1);
    }
    return id.get<std::size_t>();
  }

  TokenizerData& data_;
  std::string source_;
};

/// An unknown token stands for bytes without a token: supported where there are none. (With byte fallback
/// the tokenizer itself sees to that.)
void check_unknown_token(const JsonFields& model) {
  if (!model.has("unk_token")) return;
  for (int byte = 0; byte < 256; ++byte) {
    if (!model.value("vocab").contains(alphabet_character(static_cast<std::uint8_t>(byte)))) {
      model.fail("unk_token", fmt::format("none, as the vocabulary has no token for byte {}", byte));
    }
  }
}

void read_vocabulary(const JsonFields& model, TokenTable& table) {
  const JsonFields vocabulary = model.object("vocab");
  for (const auto& [token, id] : vocabulary.members().items()) table.add(token, id, false);
}

/// "left right", or ["left", "right"] as newer files have it.
std::vector<std::string> read_merges(const JsonFields& model) {
  std::vector<std::string> merges;
  for (const json& merge : model.array("merges")) {
    if (merge.is_string()) {
      merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      fail_input("{}: merge {} is {}, expected \"left right\" or [\"left\", \"right\"]", model.source(),
                 merges.size(), printable(merge.dump()));
    }
  }
  return merges;
}

void read_added_tokens(const JsonFields& tokenizer, TokenTable& table, TokenizerData& data) {
  if (!tokenizer.has("added_tokens")) return;
  for (const json& entry : tokenizer.array("added_tokens")) {
    const JsonFields token(tokenizer.source() + ": added_tokens", entry);
    const std::string& content = token.text("content");
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      if (token.boolean(key, false)) {
        fail_input("{}: token '{}': {} is true, supported is false", token.source(), printable(content), key);
      }
    }
    const bool is_special = token.boolean("special", false);
    const std::int32_t id = table.add(content, token.value("id"), is_special);
    if (!is_special) data.added.push_back(id);
    if (token.boolean("normalized", !is_special)) data.normalised_names.push_back(id);
  }
}

}  // namespace

void read_hf_vocabulary(const JsonFields& tokenizer, TokenizerData& data) {
  const JsonFields model = tokenizer.object("model");
  TokenTable table(data, tokenizer.source());
  read_vocabulary(model, table);
  if (data.alphabet == Alphabet::byte_level) check_unknown_token(model);
  data.merges = read_merges(model);
  read_added_tokens(tokenizer, table, data);
}

}  // namespace tide
