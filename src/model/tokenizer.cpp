#include "model/tokenizer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"
#include "model/tokenizer_chat.h"
#include "model/tokenizer_encoding.h"
#include "model/tokenizer_merge.h"
#include "model/tokenizer_names.h"
#include "model/tokenizer_normal.h"
#include "model/tokenizer_split.h"

namespace tide {

namespace {

IdOfToken index_tokens(const std::vector<std::string>& tokens) {
  IdOfToken ids;
  ids.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
    const auto [first, inserted] = ids.try_emplace(tokens[id], static_cast<std::int32_t>(id));
    if (!inserted) {
      fail_input("tokenizer token {} '{}': the same token is {}", id, printable(tokens[id]), first->second);
    }
  }
  return ids;
}

/// The tokens that a piece can be as it stands, when the tokenizer looks for them before it merges.
IdOfToken whole_pieces(const TokenizerData& data) {
  IdOfToken ids;
  for (std::size_t id = 0; data.ignore_merges && id < data.tokens.size(); ++id) {
    if (!data.is_special[id]) ids.try_emplace(data.tokens[id], static_cast<std::int32_t>(id));
  }
  return ids;
}

void check_id(std::int32_t id, std::size_t vocab_size, const char* what) {
  if (id < -1 || id >= static_cast<std::int64_t>(vocab_size)) {
    fail_input("tokenizer {} id {}: below {} expected, or -1 for none", what, id, vocab_size);
  }
}

TokenizerData checked(TokenizerData data) {
  const auto n = data.tokens.size();
  if (n == 0 || n > std::numeric_limits<std::int32_t>::max()) {
    fail_input("tokenizer: 1 to 2^31 - 1 tokens expected, got {}", n);
  }
  if (data.is_special.size() != n) {
    fail_input("tokenizer: {} tokens, but {} marks of special ones", n, data.is_special.size());
  }
  if (!data.scores.empty() && data.scores.size() != n) {
    fail_input("tokenizer: {} tokens, but {} scores", n, data.scores.size());
  }
  for (const auto* named : {&data.added, &data.normalised_names}) {
    for (const std::int32_t id : *named) {
      if (id < 0 || static_cast<std::size_t>(id) >= n) {
        fail_input("tokenizer: id {} of a token found by name: 0 to {} expected", id, n - 1);
      }
    }
  }
  check_id(data.bos_id, n, "bos");
  check_id(data.eos_id, n, "eos");
  for (const std::int32_t id : data.more_eos_ids) check_id(id, n, "eos");
  if (data.add_bos && data.bos_id < 0) fail_input("tokenizer: add_bos is set, but there is no bos id");
  return data;
}

/// The names of the special and added tokens; `normalised` chooses among them.
std::vector<TokenNames::Token> names_of(const TokenizerData& data, bool normalised_ones) {
  std::vector<bool> is_normalised(data.tokens.size());
  for (const std::int32_t id : data.normalised_names) is_normalised[static_cast<std::size_t>(id)] = true;
  std::vector<TokenNames::Token> names;
  const auto add = [&](std::size_t id, bool is_special) {
    if (is_normalised[id] != normalised_ones) return;
    const std::string& name = data.tokens[id];
    names.push_back(
        {normalised_ones ? normalised(data, name) : name, static_cast<std::int32_t>(id), is_special});
  };
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (data.is_special[id]) add(id, true);
  }
  for (const std::int32_t id : data.added) add(static_cast<std::size_t>(id), false);
  return names;
}

BytePairMerger merger_of(const TokenizerData& data) {
  const IdOfToken ids = index_tokens(data.tokens);
  PairTable pairs = data.scores.empty() ? PairTable::of_merges(ids, data.merges)
                                        : PairTable::of_scores(data.tokens, data.scores);
  return {data.alphabet, ids, std::move(pairs), whole_pieces(data)};
}

/// What every id stands for in text.
std::vector<std::string> bytes_of(const TokenizerData& data) {
  std::vector<bool> is_name = data.is_special;
  for (const std::int32_t id : data.added) is_name[static_cast<std::size_t>(id)] = true;
  std::vector<std::string> bytes = data.tokens;
  for (const std::int32_t id : data.normalised_names) {
    std::string& name = bytes[static_cast<std::size_t>(id)];
    name = normalised(data, name);
  }
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    if (data.alphabet == Alphabet::byte_level) {
      if (!is_name[id]) bytes[id] = alphabet_to_bytes(bytes[id]);
    } else {
      const int byte = byte_of_name(bytes[id]);
      bytes[id] = byte < 0 ? unmark_spaces(bytes[id]) : std::string(1, static_cast<char>(byte));
    }
  }
  return bytes;
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(TokenizerData given)
      : data(checked(std::move(given))),
        splitter(data.split),
        merger(merger_of(data)),
        names(names_of(data, false)),
        normalised_names(names_of(data, true)),
        bytes(bytes_of(data)) {}

  void check(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= bytes.size()) {
      fail_input("token id {}: 0 to {} expected", id, bytes.size() - 1);
    }
  }

  /// Whether `name` in a text becomes a token.
  bool finds(const std::string& name) const {
    return names.contains(name) || normalised_names.contains(normalised(data, name));
  }

  TokenizerData data;
  Splitter splitter;
  BytePairMerger merger;
  TokenNames names, normalised_names;
  std::vector<std::string> bytes;  ///< by id
};

Tokenizer::Tokenizer(TokenizerData data) : impl_(std::make_unique<Impl>(std::move(data))) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

int Tokenizer::vocab_size() const { return static_cast<int>(impl_->bytes.size()); }
std::int32_t Tokenizer::eos_id() const { return impl_->data.eos_id; }
bool Tokenizer::ends(std::int32_t id) const {
  const auto& more = impl_->data.more_eos_ids;
  return id >= 0 && (id == impl_->data.eos_id || std::find(more.begin(), more.end(), id) != more.end());
}
std::int32_t Tokenizer::bos_id() const { return impl_->data.bos_id; }
bool Tokenizer::add_bos() const { return impl_->data.add_bos; }

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool parse_special) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    fail_input("encode a text of {} bytes: less than 2^31 expected", text.size());
  }
  const EncodingRules rules{impl_->data, impl_->names, impl_->normalised_names, impl_->splitter,
                            impl_->merger};
  return Encoding(rules, parse_special).ids_of(text);
}

std::vector<std::int32_t> Tokenizer::encode_prompt(std::string_view text) const {
  std::vector<std::int32_t> ids = encode(text);
  if (add_bos()) ids.insert(ids.begin(), bos_id());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool keep_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    impl_->check(id);
    if (keep_special || !impl_->data.is_special[id]) text += impl_->bytes[id];
  }
  if (impl_->data.strips_space && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
  impl_->check(id);
  return impl_->bytes[id];
}

bool Tokenizer::is_special(std::int32_t id) const {
  impl_->check(id);
  return impl_->data.is_special[id];
}

std::vector<std::int32_t> Tokenizer::encode_chat(std::span<const ChatMessage> messages,
                                                 std::string_view answer_prefix) const {
  const auto name_of = [&](std::int32_t id) { return id < 0 ? std::string() : token_bytes(id); };
  const std::string text = render_chat(impl_->data.chat_template, messages, answer_prefix,
                                       {.bos = name_of(bos_id()), .eos = name_of(eos_id())});
  for (const char* name : chat_tokens(chat_family(ChatTemplate(impl_->data.chat_template)))) {
    if (!impl_->finds(name)) {
      fail_input("the chat template's turns are made of {}, but the vocabulary has no such special token",
                 name);
    }
  }
  return encode(text, true);
}

}  // namespace tide
