#include "model/tokenizer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"
#include "model/tokenizer_chat.h"
#include "model/tokenizer_merge.h"
#include "model/tokenizer_normal.h"
#include "model/tokenizer_split.h"

namespace tide {

namespace {

using IdOfToken = BytePairMerger::IdOfToken;

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
  check_id(data.bos_id, n, "bos");
  check_id(data.eos_id, n, "eos");
  for (const std::int32_t id : data.more_eos_ids) check_id(id, n, "eos");
  if (data.add_bos && data.bos_id < 0) fail_input("tokenizer: add_bos is set, but there is no bos id");
  return data;
}

/// Special tokens by their first byte, the longest first.
class SpecialTokens {
 public:
  SpecialTokens(const std::vector<std::string>& tokens, const std::vector<bool>& is_special) {
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      if (!is_special[id]) continue;
      if (tokens[id].empty()) fail_input("tokenizer token {}: a special token without a name", id);
      by_first_byte_[static_cast<unsigned char>(tokens[id][0])].emplace_back(tokens[id],
                                                                             static_cast<std::int32_t>(id));
    }
    for (auto& candidates : by_first_byte_) {
      std::stable_sort(candidates.begin(), candidates.end(),
                       [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    }
  }

  /// The longest special token with which `text` begins; -1 and nothing when there is none.
  std::pair<std::string_view, std::int32_t> at_front(std::string_view text) const {
    for (const auto& candidate : by_first_byte_[static_cast<unsigned char>(text[0])]) {
      if (text.starts_with(candidate.first)) return candidate;
    }
    return {{}, -1};
  }

 private:
  std::array<std::vector<std::pair<std::string_view, std::int32_t>>, 256> by_first_byte_;
};

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(TokenizerData given)
      : data(checked(std::move(given))),
        splitter(data.split),
        merger(index_tokens(data.tokens), data.merges, whole_pieces(data)),
        special(data.tokens, data.is_special) {
    bytes.reserve(data.tokens.size());
    for (std::size_t id = 0; id < data.tokens.size(); ++id) {
      bytes.push_back(data.is_special[id] ? data.tokens[id] : alphabet_to_bytes(data.tokens[id]));
    }
  }

  void check(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= bytes.size()) {
      fail_input("token id {}: 0 to {} expected", id, bytes.size() - 1);
    }
  }

  TokenizerData data;
  Splitter splitter;
  BytePairMerger merger;
  SpecialTokens special;
  std::vector<std::string> bytes;  ///< by id
};

namespace {

/// One call of encode: the state that its pieces share.
class Encoding {
 public:
  Encoding(const Splitter& splitter, const BytePairMerger& merger, bool nfc)
      : splitter_(splitter), merger_(merger), nfc_(nfc), split_scratch_(splitter) {}

  void add_token(std::int32_t id) { ids_.push_back(id); }

  /// Text without special tokens. What is not valid UTF-8 makes pieces of its own.
  void add_text(std::string_view text) {
    while (!text.empty()) {
      const std::string_view valid = text.substr(0, valid_prefix(text));
      add_valid(nfc_ ? normalised_.emplace_back(to_nfc(valid)) : valid);
      text.remove_prefix(valid.size());
      const std::size_t invalid = invalid_prefix(text);
      if (invalid > 0) merger_.merge(text.substr(0, invalid), merge_scratch_, ids_);
      text.remove_prefix(invalid);
    }
  }

  std::vector<std::int32_t> take() { return std::move(ids_); }

 private:
  void add_valid(std::string_view text) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = splitter_.piece_end(text, begin, split_scratch_);
      add_piece(text.substr(begin, end - begin));
      begin = end;
    }
  }

  /// A word that came before is copied from where it stands in the result.
  void add_piece(std::string_view piece) {
    constexpr std::size_t kMaxCachedBytes = 64;
    if (piece.size() > kMaxCachedBytes) return merger_.merge(piece, merge_scratch_, ids_);
    const auto [known, is_new] = seen_.try_emplace(piece, Place{ids_.size(), 0});
    auto& [begin, count] = known->second;
    if (is_new) {
      merger_.merge(piece, merge_scratch_, ids_);
      count = ids_.size() - begin;
    } else {
      for (std::size_t i = 0; i < count; ++i) ids_.push_back(ids_[begin + i]);
    }
  }

  struct Place {
    std::size_t begin;
    std::size_t count;
  };
  const Splitter& splitter_;
  const BytePairMerger& merger_;
  bool nfc_;
  std::deque<std::string> normalised_;  ///< what `seen_` refers to
  Splitter::Scratch split_scratch_;
  BytePairMerger::Scratch merge_scratch_;
  std::unordered_map<std::string_view, Place> seen_;
  std::vector<std::int32_t> ids_;
};

}  // namespace

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
  Encoding encoding(impl_->splitter, impl_->merger, impl_->data.nfc);
  std::size_t plain = 0;  // where the text since the last special token begins
  for (std::size_t at = 0; parse_special && at < text.size();) {
    const auto [name, id] = impl_->special.at_front(text.substr(at));
    if (id < 0) {
      ++at;
      continue;
    }
    encoding.add_text(text.substr(plain, at - plain));
    encoding.add_token(id);
    plain = at += name.size();
  }
  encoding.add_text(text.substr(plain));
  return encoding.take();
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool keep_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    impl_->check(id);
    if (keep_special || !impl_->data.is_special[id]) text += impl_->bytes[id];
  }
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
    if (impl_->special.at_front(name).first != name) {
      fail_input("the chat template's turns are made of {}, but the vocabulary has no such special token",
                 name);
    }
  }
  return encode(text, true);
}

}  // namespace tide
