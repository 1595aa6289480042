// Shows the oracle tests what our decoder computes.
// A DTYPE is that of the weights; the cache is bf16 with bf16 weights, else fp32.
//   model_probe encode MODEL              ids of the text on stdin, special tokens by name
//   model_probe greedy MODEL DTYPE STEPS  greedy ids after the ids on stdin, with an fp32 cache
//   model_probe teacher MODEL DTYPE OUT   runs the plan (JSON on stdin) and writes raw float32 files:
//     plan: ids, prompt_len, chunk, prefill_rows, maps (true or false), policy
//     OUT/logits.f32   [n - prompt_len + 1, vocab]: of positions prompt_len - 1 and on, one step each
//     OUT/maps.f32     [n - prompt_len + 1, layers, heads, n]: weights of those steps
//     OUT/prefill.f32  [chunk, layer, heads, rows of the chunk, prompt_len]: weights of the asked-for rows

#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "decode/decoder.h"
#include "policy/registry.h"

namespace {

using tide::DType;

std::string read_stdin() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

/// Appends what it sees to the files.
class WritingObserver final : public tide::DecodeObserver {
 public:
  WritingObserver(const std::filesystem::path& folder, const nlohmann::json& plan, int n_heads)
      : maps_(folder / "maps.f32", std::ios::binary),
        prefill_(folder / "prefill.f32", std::ios::binary),
        n_heads_(n_heads),
        n_positions_(plan.at("ids").size()) {
    wants_.prob = plan.at("maps").get<bool>();
    wants_.prefill_rows = plan.at("prefill_rows").get<std::vector<std::int64_t>>();
  }

  tide::ObserverWants wants() const override { return wants_; }
  void on_prefill(const tide::PrefillEvent& event) override {
    append(prefill_, event.prob,
           static_cast<std::size_t>(n_heads_) * event.query_positions.size() *
               static_cast<std::size_t>(event.stride));
  }
  void on_layer(const tide::LayerEvent& event) override {
    if (event.prob == nullptr) return;
    if (event.read != nullptr) tide::fail_input("maps: not of a policy that reads sets");
    for (int head = 0; head < n_heads_; ++head) {
      std::vector<float> row(n_positions_, 0.0f);
      std::copy_n(event.prob + head * event.prob_stride, event.kv_len, row.begin());
      append(maps_, row.data(), row.size());
    }
  }
  void on_step(const tide::StepEvent&) override {}

  static void append(std::ofstream& file, const float* data, std::size_t count) {
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(count * sizeof(float)));
  }

 private:
  std::ofstream maps_, prefill_;
  int n_heads_;
  std::size_t n_positions_;
  tide::ObserverWants wants_;
};

void encode(const std::string& path) {
  const auto model = tide::load_model(path, tide::WeightType::bf16);
  fmt::print("{}\n", fmt::join(model->tokenizer().encode(read_stdin(), true), " "));
}

void greedy(const std::string& path, tide::WeightType type, long long steps) {
  tide::Decoder decoder(tide::load_model(path, type), {.kv_dtype = DType::f32});
  std::vector<std::int32_t> ids{std::istream_iterator<std::int32_t>(std::cin), {}};
  const auto full = tide::make_policy("full", {&decoder.model().config(), ""});
  const auto sequence = decoder.fork(decoder.prefill(ids), full, steps);
  tide::Sequence* row = sequence.get();
  std::int32_t fed = ids.back();
  for (long long step = 0; step < steps; ++step) {
    decoder.step({&row, 1}, {&fed, 1});
    fed = tide::argmax(row->logits());
    fmt::print("{} ", fed);
  }
}

void teacher(const std::string& path, tide::WeightType type, const std::filesystem::path& folder) {
  const auto plan = nlohmann::json::parse(read_stdin());
  const auto ids = plan.at("ids").get<std::vector<std::int32_t>>();
  const auto prompt_len = plan.at("prompt_len").get<std::size_t>();
  tide::Decoder decoder(tide::load_model(path, type),
                        {.kv_dtype = type == tide::WeightType::bf16 ? DType::bf16 : DType::f32,
                         .prefill_chunk = plan.at("chunk").get<int>()});
  WritingObserver observer(folder, plan, decoder.model().config().n_heads);
  const auto prompt = decoder.prefill(std::span(ids).first(prompt_len), &observer);
  const auto policy =
      tide::make_policy(plan.at("policy").get<std::string>(), {&decoder.model().config(), ""});
  const auto steps = static_cast<std::int64_t>(ids.size() - prompt_len + 1);
  const auto sequence = decoder.fork(prompt, policy, steps, 0, &observer);
  tide::Sequence* row = sequence.get();
  std::ofstream logits(folder / "logits.f32", std::ios::binary);
  for (std::size_t position = prompt_len - 1; position < ids.size(); ++position) {
    decoder.step({&row, 1}, {&ids[position], 1});
    WritingObserver::append(logits, row->logits().data(), row->logits().size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    if (command == "encode" && argc == 3) {
      encode(argv[2]);
    } else if (command == "greedy" && argc == 5) {
      greedy(argv[2], tide::weight_type_of(argv[3]), tide::parse_integer(argv[4], "steps"));
    } else if (command == "teacher" && argc == 5) {
      teacher(argv[2], tide::weight_type_of(argv[3]), argv[4]);
    } else {
      fmt::print(stderr,
                 "usage: model_probe encode MODEL | greedy MODEL DTYPE STEPS | teacher MODEL DTYPE OUT\n");
      return 2;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return dynamic_cast<const tide::InputError*>(&error) != nullptr ? 2 : 1;
  }
}
