// bench decode: milliseconds a token under policies, beside a peer, interleaved in one run.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "cli/child.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/version.h"
#include "model/weights.h"
#include "task/task.h"

namespace tide::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  ModelOptions model;
  std::string what;
  std::vector<std::string> policies = {"full"};
  std::int64_t length = 1024, steps = 32, rounds = 7;
  std::string peer = "none";
  std::filesystem::path out;
  bool json = false;
};

/// Median and spread of per-step times, one value a round: the round's median.
struct Figures {
  std::string name;
  std::vector<double> round_ms;
  double bytes_a_step = 0;  ///< weights and K/V rows that the step reads (derived)
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Sequential read bandwidth of this machine in GB/s: the best of a few passes over a large block.
double read_gb_per_s(int n_threads) {
  const std::size_t count = std::size_t{64} << 20;  // 512 MB of 64-bit words
  std::vector<std::uint64_t> block(count, 1);
  double best = 0;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(n_threads));
  for (int pass = 0; pass < 5; ++pass) {
    const auto begin = Clock::now();
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < n_threads; ++t) {
        threads.emplace_back([&, t] {
          const auto from = block.begin() + static_cast<std::ptrdiff_t>(count * t / n_threads);
          const auto to = block.begin() + static_cast<std::ptrdiff_t>(count * (t + 1) / n_threads);
          sums[static_cast<std::size_t>(t)] = std::accumulate(from, to, std::uint64_t{0});
        });
      }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, static_cast<double>(count * 8) / seconds / 1e9);
  }
  TIDE_ASSERT(std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) == count);
  return best;
}

Figures time_policy(Decoder& decoder, const std::shared_ptr<const Prompt>& prompt,
                    const std::shared_ptr<const AttentionPolicy>& policy, std::int64_t steps,
                    Figures figures) {
  const auto sequence = decoder.fork(prompt, policy, steps + 2);
  Sequence* row = sequence.get();
  std::int32_t fed = prompt->ids.back();
  std::vector<double> step_ms;
  for (std::int64_t i = 0; i < steps + 2; ++i) {
    const auto begin = Clock::now();
    decoder.step({&row, 1}, {&fed, 1});
    fed = argmax(sequence->logits());
    if (i >= 2) step_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  figures.round_ms.push_back(median(step_ms));
  figures.bytes_a_step = static_cast<double>(decoder.model().weights().bytes()) +
                         static_cast<double>(sequence->bytes_read()) / static_cast<double>(steps + 2);
  return figures;
}

/// llama.cpp through its Python bindings, in a child of its own.
class Peer {
 public:
  Peer(const Options& options, const Decoder& decoder, const Prompt& prompt)
      : child_({TIDEGAUGE_PYTHON, TIDEGAUGE_PEERS "/llama_cpp_decode.py", "--model",
                decoder.model().path().string(), "--cache",
                (std::filesystem::temp_directory_path() / "tidegauge-peer").string(), "--n-ctx",
                std::to_string(options.length + options.steps + 64), "--threads",
                std::to_string(decoder.n_threads())}) {
    const auto hello = nlohmann::json::parse(child_.receive());
    name_ = fmt::format("{} {} bf16", hello.at("peer").get<std::string>(),
                        hello.at("bindings").get<std::string>());
    std::string line = "prefill";
    for (std::size_t i = 0; i + 1 < prompt.ids.size(); ++i) line += ' ' + std::to_string(prompt.ids[i]);
    child_.send(line);
    prefill_ms_ = nlohmann::json::parse(child_.receive()).at("prefill_ms").get<double>();
  }

  const std::string& name() const { return name_; }
  double prefill_ms() const { return prefill_ms_; }
  double round_ms(std::int64_t steps) {
    child_.send("run " + std::to_string(steps));
    return median(nlohmann::json::parse(child_.receive()).at("step_ms").get<std::vector<double>>());
  }

 private:
  Child child_;
  std::string name_;
  double prefill_ms_ = 0;
};

nlohmann::json summary_of(const Figures& figures, const std::vector<double>& peer_ms, double bandwidth) {
  const double ms = median(figures.round_ms);
  nlohmann::json row = {{"name", figures.name},
                        {"median_ms", ms},
                        {"min_ms", *std::min_element(figures.round_ms.begin(), figures.round_ms.end())},
                        {"max_ms", *std::max_element(figures.round_ms.begin(), figures.round_ms.end())},
                        {"rounds_ms", figures.round_ms}};
  if (figures.bytes_a_step > 0) {
    row["gb_per_s_derived"] = figures.bytes_a_step / ms / 1e6;
    row["share_of_read_bandwidth_derived"] = figures.bytes_a_step / ms / 1e6 / bandwidth;
  }
  if (!peer_ms.empty()) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < peer_ms.size(); ++i) ratios.push_back(figures.round_ms[i] / peer_ms[i]);
    row["ratio_to_peer"] = median(ratios);
    row["ratio_to_peer_min"] = *std::min_element(ratios.begin(), ratios.end());
    row["ratio_to_peer_max"] = *std::max_element(ratios.begin(), ratios.end());
  }
  return row;
}

void tell(const nlohmann::json& result) {
  std::printf("decode at %lld tokens, %d threads, machine reads %.1f GB/s\n",
              result.at("length").get<long long>(), result.at("machine").at("threads").get<int>(),
              result.at("read_gb_per_s").get<double>());
  for (const auto& row : result.at("rows")) {
    std::printf("  %8.2f ms/token (%.2f to %.2f)  %s", row.at("median_ms").get<double>(),
                row.at("min_ms").get<double>(), row.at("max_ms").get<double>(),
                row.at("name").get<std::string>().c_str());
    if (row.contains("gb_per_s_derived"))
      std::printf("  %.1f GB/s", row.at("gb_per_s_derived").get<double>());
    if (row.contains("ratio_to_peer"))
      std::printf("  %.2f x the peer's time", row.at("ratio_to_peer").get<double>());
    std::printf("\n");
  }
}

void run_decode(const Options& options) {
  const Session session = open_session(options.model);
  Decoder& decoder = *session.decoder;
  const auto task = make_task("text", {}, session.model->tokenizer());
  const auto prompt =
      decoder.prefill(task->sample({options.length, std::nullopt, 0, options.model.seed}).prompt_ids);
  std::vector<std::shared_ptr<const AttentionPolicy>> policies;
  std::vector<Figures> figures;
  for (const std::string& spec : options.policies) {
    policies.push_back(bind_policy(spec, *session.model));
    figures.push_back({policies.back()->canonical(), {}, 0});
  }
  std::unique_ptr<Peer> peer;
  if (options.peer == "llama.cpp") peer = std::make_unique<Peer>(options, decoder, *prompt);
  std::vector<double> peer_ms;
  Progress progress("bench");
  for (std::int64_t round = 0; round < options.rounds && !interrupted(); ++round) {
    for (std::size_t i = 0; i < policies.size(); ++i) {
      figures[i] = time_policy(decoder, prompt, policies[i], options.steps, std::move(figures[i]));
    }
    if (peer) peer_ms.push_back(peer->round_ms(options.steps));
    progress.update(round + 1, options.rounds);
  }
  const double bandwidth = read_gb_per_s(decoder.n_threads());
  nlohmann::json result = {{"what", "decode"},
                           {"length", options.length},
                           {"steps", options.steps},
                           {"dtype", options.model.dtype},
                           {"kv_dtype", options.model.kv_dtype},
                           {"model", session.model->config().name},
                           {"read_gb_per_s", bandwidth},
                           {"prefill_ms", prompt->prefill_ms},
                           {"machine", machine_facts(decoder.n_threads())},
                           {"rows", nlohmann::json::array()}};
  for (const Figures& row : figures) result["rows"].push_back(summary_of(row, peer_ms, bandwidth));
  if (peer) {
    result["rows"].push_back(summary_of({peer->name(), peer_ms, 0}, {}, bandwidth));
    result["peer_prefill_ms"] = peer->prefill_ms();
  }
  if (!options.out.empty()) write_text_atomically(options.out, result.dump(2) + "\n");
  if (options.json) {
    print_json(result);
  } else {
    tell(result);
  }
}

}  // namespace

void add_bench(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* bench = root.add_subcommand("bench", "Time the decoder, alone or beside a peer");
  const auto count = CLI::Range(std::int64_t{1}, std::int64_t{1} << 30);
  bench->add_option("what", options->what, "decode")->required()->check(CLI::IsMember({"decode"}));
  bench->add_option("--policy", options->policies, "Policies to time; may be given again")
      ->take_all()
      ->capture_default_str();
  bench->add_option("--length", options->length, "Prompt length in tokens")
      ->check(count)
      ->capture_default_str();
  bench->add_option("--steps", options->steps, "Steps a round")->check(count)->capture_default_str();
  bench->add_option("--rounds", options->rounds, "Interleaved rounds")->check(count)->capture_default_str();
  bench->add_option("--peer", options->peer, "Program timed beside ours")
      ->check(CLI::IsMember({"none", "llama.cpp"}))
      ->capture_default_str();
  bench->add_option("--out", options->out, "JSON file for the result");
  bench->add_flag("--json", options->json, "Result as JSON on stdout");
  add_model_options(*bench, options->model);
  bench->callback([options] { run_decode(*options); });
}

}  // namespace tide::cli
