// Shows the oracle tests what a policy saw and what it did.
//   policy_probe MODEL OUT    runs the plan (JSON on stdin) in fp32, weights and cache, and writes
//     plan: ids, prompt_len, policy, seed; ids after the prompt are fed, a step each
//     OUT/config.json   n_layers, n_heads, n_kv_heads, head_dim, rope_theta, model_sha256, placement, the
//                       policy's canonical text
//     OUT/k.f32, v.f32  [layers, n_kv_heads, positions, head_dim]: the cache at the end, keys rotated; empty
//                       where the policy has dropped rows
//     OUT/prompt_query.f32   [layers, prompt_len - 1, n_heads, head_dim], rotated
//     OUT/chunks.jsonl  a line a (chunk, layer) of a prompt that is passed sparsely: layer, begin, count,
//     read
//                       (null: everything)
//     OUT/query.f32, output.f32   [steps, layers, n_heads, head_dim]
//     OUT/events.jsonl  a line a (step, layer): role, read and chosen sets, set_of_head, scores, rows, bytes,
//                       origin (of the sets: 1 reused, 0 anew, -1 no such sets)

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/float16.h"
#include "decode/decoder.h"
#include "policy/registry.h"

namespace {

using nlohmann::json;
using tide::DType;

void append(std::ofstream& file, const float* data, std::int64_t count) {
  file.write(reinterpret_cast<const char*>(data),
             static_cast<std::streamsize>(count * static_cast<std::int64_t>(sizeof(float))));
}

/// Lists without padding; a score that is not a number becomes null.
json to_json(const tide::PositionSets* sets) {
  if (sets == nullptr) return nullptr;
  json result = {{"positions", json::array()}, {"scores", json::array()}, {"set_of_head", sets->set_of_head}};
  for (int set = 0; set < sets->n_sets; ++set) {
    json positions = json::array(), scores = json::array();
    for (int i = 0; i < sets->count[static_cast<std::size_t>(set)]; ++i) {
      const auto at = static_cast<std::size_t>(set * sets->width + i);
      positions.push_back(sets->position[at]);
      scores.push_back(std::isnan(sets->score[at]) ? json() : json(sets->score[at]));
    }
    result["positions"].push_back(positions);
    result["scores"].push_back(scores);
  }
  return result;
}

class WritingObserver final : public tide::DecodeObserver {
 public:
  WritingObserver(const std::filesystem::path& folder, const tide::ModelConfig& config)
      : events_(folder / "events.jsonl"),
        query_(folder / "query.f32", std::ios::binary),
        output_(folder / "output.f32", std::ios::binary),
        size_(config.n_heads * config.head_dim) {}

  tide::ObserverWants wants() const override {
    tide::ObserverWants wants;
    wants.query = true;
    return wants;
  }
  void on_layer(const tide::LayerEvent& event) override {
    append(query_, event.query, size_);
    append(output_, event.output, size_);
    events_ << json{{"step", event.step},
                    {"layer", event.layer},
                    {"role", std::string(1, tide::role_letter(event.role))},
                    {"kv_len", event.kv_len},
                    {"first", event.first},
                    {"read", to_json(event.read)},
                    {"chosen", to_json(event.chosen)},
                    {"rows_read", std::vector(event.rows_read.begin(), event.rows_read.end())},
                    {"bytes_read", event.bytes_read},
                    {"origin", static_cast<int>(event.set_origin)}}
                   .dump()
            << '\n';
  }
  void on_step(const tide::StepEvent&) override {}

 private:
  std::ofstream events_, query_, output_;
  std::int64_t size_;
};

/// The policy under test, and a look at the cache that it is shown and at the prompt's queries.
class WatchedState final : public tide::PolicyState {
 public:
  WatchedState(std::unique_ptr<tide::PolicyState> state, std::vector<tide::kernels::KvView>& seen,
               std::ofstream& prompt_query)
      : state_(std::move(state)), seen_(seen), prompt_query_(prompt_query) {}
  void take_prompt(const tide::LayerStep& prompt) override {
    append(prompt_query_, prompt.notes->query,
           prompt.notes->n_queries * prompt.config->n_heads * prompt.config->head_dim);
    state_->take_prompt(prompt);
  }
  const tide::PositionSets* keep(const tide::LayerStep& prompt) override { return state_->keep(prompt); }
  const tide::PositionSets* choose(const tide::LayerStep& step) override {
    seen_[static_cast<std::size_t>(step.layer)] = step.kv;
    return state_->choose(step);
  }
  const tide::PositionSets* observe(const tide::LayerStep& step, const tide::LayerScores& scores) override {
    return state_->observe(step, scores);
  }
  void finish(const tide::LayerStep& step, const tide::GatherResult& gathered) override {
    state_->finish(step, gathered);
  }
  tide::SetOrigin set_origin(int layer) const override { return state_->set_origin(layer); }
  std::int64_t metadata_bytes(int layer) const override { return state_->metadata_bytes(layer); }

 private:
  std::unique_ptr<tide::PolicyState> state_;
  std::vector<tide::kernels::KvView>& seen_;
  std::ofstream& prompt_query_;
};

/// A pass that reads sparsely, with what it read.
class WatchedReader final : public tide::PromptReader {
 public:
  WatchedReader(std::unique_ptr<tide::PromptReader> reader, std::ofstream& chunks)
      : reader_(std::move(reader)), chunks_(chunks) {}
  const tide::PositionSets* choose(const tide::ChunkStep& chunk) override {
    const tide::PositionSets* read = reader_->choose(chunk);
    chunks_ << json{{"layer", chunk.before.layer},
                    {"begin", chunk.before.kv_len},
                    {"count", chunk.count},
                    {"read", to_json(read)}}
                   .dump()
            << '\n';
    return read;
  }

 private:
  std::unique_ptr<tide::PromptReader> reader_;
  std::ofstream& chunks_;
};

class WatchedPolicy final : public tide::AttentionPolicy {
 public:
  WatchedPolicy(std::shared_ptr<const tide::AttentionPolicy> policy, std::vector<tide::kernels::KvView>& seen,
                std::ofstream& prompt_query, std::ofstream& chunks)
      : policy_(std::move(policy)), seen_(seen), prompt_query_(prompt_query), chunks_(chunks) {}
  const std::string& canonical() const override { return policy_->canonical(); }
  std::span<const tide::Role> placement() const override { return policy_->placement(); }
  std::unique_ptr<tide::PolicyState> begin(std::uint64_t seed) const override {
    return std::make_unique<WatchedState>(policy_->begin(seed), seen_, prompt_query_);
  }
  bool reads_keys(int layer) const override { return policy_->reads_keys(layer); }
  tide::PrefillRule prefill_rule() const override { return policy_->prefill_rule(); }
  std::unique_ptr<tide::PromptReader> begin_prompt() const override {
    return std::make_unique<WatchedReader>(policy_->begin_prompt(), chunks_);
  }
  tide::Eviction eviction() const override { return policy_->eviction(); }
  tide::PromptNeeds prompt_needs() const override {
    return united(policy_->prompt_needs(), {.last_queries = std::numeric_limits<int>::max()});
  }

 private:
  std::shared_ptr<const tide::AttentionPolicy> policy_;
  std::vector<tide::kernels::KvView>& seen_;
  std::ofstream& prompt_query_;
  std::ofstream& chunks_;
};

void write_cache(const std::filesystem::path& folder, const std::vector<tide::kernels::KvView>& views) {
  std::ofstream k(folder / "k.f32", std::ios::binary), v(folder / "v.f32", std::ios::binary);
  for (const tide::kernels::KvView& view : views) {
    for (int head = 0; head < view.n_kv_heads; ++head) {
      for (const tide::kernels::KvSegment& segment : view.segment) {
        if (segment.count == 0 || segment.k == nullptr) continue;
        const std::int64_t at = head * segment.head_stride, count = segment.count * view.head_dim;
        append(k, static_cast<const float*>(segment.k) + at, count);
        append(v, static_cast<const float*>(segment.v) + at, count);
      }
    }
  }
}

void run(const std::string& model, const std::filesystem::path& folder) {
  const auto plan = json::parse(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  const auto ids = plan.at("ids").get<std::vector<std::int32_t>>();
  const auto prompt_len = plan.at("prompt_len").get<std::size_t>();
  tide::Decoder decoder(tide::load_model(model, tide::WeightType::f32), {.kv_dtype = DType::f32});
  const tide::ModelConfig& config = decoder.model().config();
  const auto inner =
      tide::make_policy(plan.at("policy").get<std::string>(), {&config, decoder.model().sha256()});
  std::vector<tide::kernels::KvView> views(static_cast<std::size_t>(config.n_layers));
  std::ofstream prompt_query(folder / "prompt_query.f32", std::ios::binary);
  std::ofstream chunks(folder / "chunks.jsonl");
  const auto policy = std::make_shared<WatchedPolicy>(inner, views, prompt_query, chunks);
  WritingObserver observer(folder, config);
  const auto steps = static_cast<std::int64_t>(ids.size() - prompt_len + 1);
  const auto prompt =
      decoder.prefill(std::span(ids).first(prompt_len), nullptr, {}, policy->prompt_needs(), policy.get());
  const auto sequence = decoder.fork(prompt, policy, steps, plan.value("seed", std::uint64_t{0}), &observer);
  tide::Sequence* row = sequence.get();
  for (std::size_t position = prompt_len - 1; position < ids.size(); ++position) {
    decoder.step({&row, 1}, {&ids[position], 1});
  }
  write_cache(folder, views);
  std::ofstream(folder / "config.json") << json{{"n_layers", config.n_layers},
                                                {"n_heads", config.n_heads},
                                                {"n_kv_heads", config.n_kv_heads},
                                                {"head_dim", config.head_dim},
                                                {"rope_theta", config.rope_theta},
                                                {"model_sha256", decoder.model().sha256()},
                                                {"placement", tide::placement_letters(inner->placement())},
                                                {"policy", inner->canonical()}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: policy_probe MODEL OUT\n";
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return dynamic_cast<const tide::InputError*>(&error) != nullptr ? 2 : 1;
  }
}
