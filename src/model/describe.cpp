#include "model/describe.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/gguf_types.h"

namespace tide {

namespace {

constexpr const char* kLoading = "loading";

/// Runs `part`; false, and its refusal noted, when it throws InputError.
template <typename Part>
bool attempt(ModelFacts& facts, const std::string& what, const Part& part) {
  try {
    part();
    return true;
  } catch (const InputError& error) {
    // One cause may stop several parts: it is told once.
    const bool known = std::any_of(facts.refusals.begin(), facts.refusals.end(),
                                   [&](const Refusal& other) { return other.message == error.what(); });
    if (!known) facts.refusals.push_back({what, error.what()});
    return false;
  }
}

std::vector<StoredKind> stored_kinds(const TensorSource& source) {
  std::map<TensorType, StoredKind> kinds;
  for (const auto& [name, tensor] : source.tensors()) {
    StoredKind& kind = kinds[tensor.type];
    kind.type = gguf_type_name(static_cast<std::uint32_t>(tensor.type));
    ++kind.tensors;
    kind.weights += tensor.element_count();
    kind.bytes += tensor.bytes.size();
  }
  std::vector<StoredKind> list;
  for (auto& [type, kind] : kinds) list.push_back(std::move(kind));
  std::stable_sort(list.begin(), list.end(),
                   [](const StoredKind& a, const StoredKind& b) { return a.bytes > b.bytes; });
  return list;
}

/// Collects the weights in each type, and copies none of them.
void describe_weights(ModelFacts& facts, const Checkpoint& checkpoint) {
  const auto collect = [&](WeightType type) {
    WeightLoader loader(checkpoint.tensors(), type);
    facts.in_memory.emplace_back(type, checkpoint.collect_weights(loader, *facts.config)->bytes());
  };
  if (!attempt(facts, kLoading, [&] { collect(WeightType::bf16); })) return;
  for (const WeightType type : {WeightType::f32, WeightType::q8_0}) {
    attempt(facts, fmt::format("--dtype {}", name_of(type)), [&] { collect(type); });
  }
}

void describe_tokenizer(ModelFacts& facts, const Checkpoint& checkpoint) {
  std::optional<Tokenizer> tokenizer;
  const bool sound = attempt(facts, kLoading, [&] {
    tokenizer.emplace(checkpoint.tokenizer(facts.config->vocab_size));
    facts.tokenizer = {tokenizer->vocab_size(), tokenizer->bos_id(), tokenizer->add_bos()};
  });
  if (!sound) return;
  const std::array<ChatMessage, 1> greeting = {{{"user", "Hello"}}};
  attempt(facts, "the chat template", [&] { tokenizer->encode_chat(greeting); });
}

}  // namespace

bool ModelFacts::loads() const {
  return std::none_of(refusals.begin(), refusals.end(),
                      [](const Refusal& refusal) { return refusal.what == kLoading; });
}

ModelFacts describe_model(const std::filesystem::path& path) {
  const auto checkpoint = open_checkpoint(path);
  ModelFacts facts;
  facts.format = checkpoint->format();
  attempt(facts, kLoading, [&] { facts.written = checkpoint->written(); });
  attempt(facts, kLoading, [&] { facts.config = checkpoint->config(); });
  const bool sound = attempt(facts, kLoading, [&] { facts.stored = stored_kinds(checkpoint->tensors()); });
  attempt(facts, kLoading, [&] {
    for (const auto& file : checkpoint->files()) {
      if (std::filesystem::is_regular_file(file)) facts.file_bytes += std::filesystem::file_size(file);
    }
  });
  if (!sound || !facts.config) return facts;
  describe_weights(facts, *checkpoint);
  describe_tokenizer(facts, *checkpoint);
  return facts;
}

std::int64_t kv_bytes_a_position(const ModelConfig& config, kernels::DType dtype) {
  return 2 * std::int64_t{config.n_layers} * config.n_kv_heads * config.head_dim *
         static_cast<std::int64_t>(kernels::size_of(dtype));
}

}  // namespace tide
