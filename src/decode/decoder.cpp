#include "decode/decoder.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "base/cpus.h"
#include "base/error.h"
#include "decode/kept_cache.h"
#include "decode/prefill.h"
#include "decode/prefill_products.h"
#include "decode/sparse_pass.h"
#include "decode/step.h"
#include "decode/tiered_cache.h"

namespace tide {

struct Decoder::Impl {
  Impl(std::shared_ptr<const Model> of, const DecoderOptions& with)
      : model(std::move(of)),
        options(with),
        max_positions(with.max_positions > 0 ? with.max_positions : model->config().max_positions),
        pool(with.n_threads, with.cpus),
        angles(model->config()),
        runner(*model, angles, pool) {}

  /// Calls state.take_prompt for every layer, and fills `kept`, if there is one, with what it keeps.
  void show_prompt(const Prompt& prompt, PolicyState& state, KeptCache* kept);

  /// What a dense pass runs on.
  PrefillContext pass() {
    return {*model, angles, pool, options.prefill_chunk, prefill_product_dtype(model->dense_dtype())};
  }

  /// Notes what was fed, and where it is time passes it again.
  void correct(Sequence& sequence, std::int32_t fed_id);

  std::shared_ptr<const Model> model;
  DecoderOptions options;
  std::int64_t max_positions;
  kernels::ThreadPool pool;
  RopeAngles angles;
  StepRunner runner;
};

namespace {

DecoderOptions resolved(DecoderOptions options) {
  if (options.n_threads < 0) fail_input("threads: {} is negative", options.n_threads);
  if (options.max_positions < 0) fail_input("positions: {} is negative", options.max_positions);
  if (options.prefill_chunk < 1) fail_input("prefill chunk: {} is below 1", options.prefill_chunk);
  if (options.n_threads == 0) options.n_threads = static_cast<int>(usable_cores().size());
  return options;
}

void check_ids(std::span<const std::int32_t> ids, const ModelConfig& config, std::int64_t max_positions) {
  if (ids.empty()) fail_input("prompt: no tokens, expected at least 1");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= config.vocab_size) {
      fail_input("prompt: token {} is {}, expected 0 to {}", i, ids[i], config.vocab_size - 1);
    }
  }
  if (ids.size() > static_cast<std::size_t>(max_positions)) {
    fail_input("prompt: {} tokens, the model has {} positions", ids.size(), max_positions);
  }
}

std::string words_of(const PrefillRule& rule) {
  return rule.is_dense() ? "densely" : fmt::format("by '{}'", rule.text);
}

void check_rule(const Prompt& prompt, const AttentionPolicy& policy) {
  const PrefillRule rule = policy.prefill_rule();
  if (rule.text == prompt.rule.text) return;
  fail_input("policy {}: continues prompts that were passed {}, this one was passed {}", policy.canonical(),
             words_of(rule), words_of(prompt.rule));
}

void check_observer(const AttentionPolicy& reader, const DecodeObserver* observer) {
  if (observer == nullptr || observer->wants().prefill_rows.empty()) return;
  fail_input("policy {}: --prefill-rows records full attention's rows, and this prompt is passed sparsely",
             reader.canonical());
}

std::unique_ptr<KvCache> tiered_cache(const ModelConfig& config, const Prompt& prompt,
                                      const AttentionPolicy& policy, const TierOptions& tier,
                                      std::int64_t max_steps) {
  check_can_offload(policy);
  std::vector<bool> whole;
  for (int layer = 0; layer < config.n_layers; ++layer) whole.push_back(policy.reads_whole(layer));
  return std::make_unique<TieredCache>(config, *prompt.rows, tier, whole, max_steps);
}

}  // namespace

void Decoder::Impl::show_prompt(const Prompt& prompt, PolicyState& state, KeptCache* kept) {
  const ModelConfig& config = model->config();
  const KvRows& rows = *prompt.rows;
  if (rows.count() == 0) return;
  PromptNotes notes{};
  LayerStep step{};
  step.notes = &notes;
  step.step = -1;
  step.prompt_len = prompt.prompt_len();
  step.kv_len = rows.count();
  step.config = &config;
  step.pool = &pool;
  for (step.layer = 0; step.layer < config.n_layers; ++step.layer) {
    step.first = config.first_readable(step.layer, step.kv_len);
    step.kv = {
        rows.dtype(), config.n_kv_heads, config.head_dim, {rows.segment(step.layer, rows.count()), {}}};
    step.kv.segment[1].begin = rows.count();
    notes = prompt.notes.of(step.layer);
    state.take_prompt(step);
    if (kept != nullptr) kept->take(step.layer, rows, state.keep(step));
  }
}

void Decoder::Impl::correct(Sequence& sequence, std::int32_t fed_id) {
  const std::int64_t period = sequence.policy_->correction_period();
  if (period == 0) return;
  std::vector<std::int32_t>& ids = sequence.uncorrected_;
  ids.push_back(fed_id);
  if (std::ssize(ids) < period) return;
  CachePassRows rows(*sequence.cache_);
  run_dense_pass(pass(), ids, sequence.cache_->kv_len() - std::ssize(ids), rows);
  ids.clear();
}

Decoder::Decoder(std::shared_ptr<const Model> model, const DecoderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), resolved(options))) {}

Decoder::~Decoder() = default;

const Model& Decoder::model() const { return *impl_->model; }

int Decoder::n_threads() const { return impl_->options.n_threads; }

const std::vector<int>& Decoder::cpus() const { return impl_->options.cpus; }

std::shared_ptr<const Prompt> Decoder::prefill(std::span<const std::int32_t> ids, DecodeObserver* observer,
                                               const std::function<void(std::int64_t)>& progress,
                                               PromptNeeds needs, const AttentionPolicy* reader) {
  check_ids(ids, impl_->model->config(), impl_->max_positions);
  const auto begin = std::chrono::steady_clock::now();
  const auto cached = static_cast<std::int64_t>(ids.size()) - 1;
  auto rows = std::make_shared<KvRows>(impl_->model->config(), impl_->options.kv_dtype, 0, cached);
  auto prompt = std::make_shared<Prompt>();
  prompt->notes = PromptNoteBook(impl_->model->config(), cached, needs);
  if (reader != nullptr) prompt->rule = reader->prefill_rule();
  PrefillContext pass = impl_->pass();
  std::optional<SparsePass> sparse;
  if (!prompt->rule.is_dense()) {
    TIDE_ASSERT(!needs.column_mass);  // it is full attention's
    check_observer(*reader, observer);
    pass.chunk = prompt->rule.chunk;
    sparse.emplace(reader->begin_prompt(), impl_->model->config(), impl_->angles, impl_->pool);
  }
  run_prefill(pass, ids.first(static_cast<std::size_t>(cached)), *rows, prompt->notes, observer, progress,
              sparse ? &*sparse : nullptr);
  prompt->ids.assign(ids.begin(), ids.end());
  prompt->rows = std::move(rows);
  prompt->prefill_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return prompt;
}

std::unique_ptr<Sequence> Decoder::fork(std::shared_ptr<const Prompt> prompt,
                                        std::shared_ptr<const AttentionPolicy> policy, std::int64_t max_steps,
                                        std::uint64_t seed, DecodeObserver* observer,
                                        const TierOptions* tier) {
  const ModelConfig& config = impl_->model->config();
  const std::int64_t last = prompt->prompt_len() - 1 + max_steps;
  if (max_steps < 1) fail_input("steps: {} is below 1", max_steps);
  if (last > impl_->max_positions) {
    fail_input("steps: a prompt of {} tokens and {} steps need {} positions, the model has {}",
               prompt->prompt_len(), max_steps, last, impl_->max_positions);
  }
  check_rule(*prompt, *policy);
  TIDE_ASSERT(prompt->notes.serves(policy->prompt_needs()));
  std::unique_ptr<Sequence> sequence(new Sequence());
  if (observer != nullptr) sequence->wants_ = observer->wants();
  sequence->prompt_len_ = prompt->prompt_len();
  sequence->last_prompt_id_ = prompt->ids.back();
  KeptCache* kept = nullptr;
  if (tier != nullptr) {
    sequence->cache_ = tiered_cache(config, *prompt, *policy, *tier, max_steps);
  } else if (rows_are_dropped(*policy, sequence->wants_)) {
    auto cache = std::make_unique<KeptCache>(config, prompt->rows->dtype(), prompt->rows->count());
    kept = cache.get();
    sequence->cache_ = std::move(cache);
  } else {
    sequence->cache_ = std::make_unique<ResidentCache>(config, prompt->rows, max_steps);
  }
  sequence->state_ = policy->begin(seed);
  sequence->policy_ = std::move(policy);
  impl_->show_prompt(*prompt, *sequence->state_, kept);
  sequence->logits_.resize(static_cast<std::size_t>(config.vocab_size));
  sequence->observer_ = observer;
  return sequence;
}

void Decoder::step(std::span<Sequence* const> rows, std::span<const std::int32_t> fed_ids) {
  if (rows.empty()) return;
  TIDE_ASSERT(rows.size() == fed_ids.size());
  const ModelConfig& config = impl_->model->config();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    TIDE_ASSERT(fed_ids[i] >= 0 && fed_ids[i] < config.vocab_size);
    TIDE_ASSERT(rows[i]->step_ > 0 || fed_ids[i] == rows[i]->last_prompt_id_);
    if (rows[i]->cache_->kv_len() >= impl_->max_positions) {
      fail_input("steps: position {} is beyond the model's {}", rows[i]->cache_->kv_len(),
                 impl_->max_positions);
    }
  }
  impl_->runner.run(rows, fed_ids);
  for (std::size_t i = 0; i < rows.size(); ++i) impl_->correct(*rows[i], fed_ids[i]);
}

bool rows_are_dropped(const AttentionPolicy& policy, const ObserverWants& wants) {
  const bool watched = wants.shadow_prob || wants.shadow_output;
  if (policy.eviction() == Eviction::always && watched) {
    fail_input(
        "policy {}: with evict=yes there are no rows left for full attention beside it (--shadow, output "
        "error); evict=auto keeps them where they are asked for, evict=no always, with the same results",
        policy.canonical());
  }
  return policy.eviction() != Eviction::never && !watched;
}

void check_can_offload(const AttentionPolicy& policy) {
  if (policy.eviction() != Eviction::always) return;
  fail_input("policy {}: with evict=yes there are no rows to offload; expected evict=auto or no",
             policy.canonical());
}

std::int32_t argmax(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace tide
