// bench prefill: the time and the tokens a second of a prompt's pass.

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/error.h"
#include "cli/bench/bench.h"
#include "cli/bench/peer.h"
#include "cli/bench/result.h"
#include "cli/bench/rounds.h"
#include "task/task.h"

namespace tide::cli {

namespace {

constexpr std::int64_t kTrialTokens = 2048;  // a peer's settings are tried on so many at most

/// Multiplications and additions of the prompt's pass, as the mathematics has them: weights but the LM
/// head's, and the causal half of attention.
double operations(const ModelConfig& config, std::int64_t tokens) {
  const double n = static_cast<double>(tokens), hidden = config.hidden_size;
  const double heads_dim = double{1} * config.n_heads * config.head_dim;
  const double kv_dim = double{1} * config.n_kv_heads * config.head_dim;
  const double weights = hidden * (2 * heads_dim + 2 * kv_dim) + 3 * hidden * config.ffn_size;
  return config.n_layers * (2 * n * weights + 4 * heads_dim * n * (n + 1) / 2);
}

Timing time_ours(Decoder& decoder, std::span<const std::int32_t> ids) {
  const auto begin = std::chrono::steady_clock::now();
  const auto prompt = decoder.prefill(ids);
  return {std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count(), 0};
}

std::unique_ptr<Peer> prepared_peer(const std::string& program, const BenchOptions& options,
                                    const Session& session, const std::vector<std::int32_t>& cached) {
  auto peer = start_peer(program, options, session, static_cast<std::int64_t>(cached.size()));
  const auto count = std::min<std::ptrdiff_t>(kTrialTokens, std::ssize(cached));
  const std::vector<std::int32_t> trial(cached.begin(), cached.begin() + count);
  peer->add_facts(peer->ask({{"do", "tune_prefill"}, {"ids", trial}}));
  return peer;
}

void add_rates(nlohmann::json& row, const Figures& figures, const ModelConfig& config, std::int64_t tokens) {
  row["tokens_per_s"] = rate_of(figures, static_cast<double>(tokens));
  row["gflop_per_s_derived"] = rate_of(figures, operations(config, tokens) / 1e9);
}

}  // namespace

void bench_prefill(const BenchOptions& options) {
  const std::int64_t length = options.length.value_or(1024);
  if (length < 2)
    fail_input("--length {}: expected at least 2 tokens, the last one is not prefilled", length);
  const Session session = open_session(options.model);
  const auto task = make_task("text", {}, session.model->tokenizer());
  const auto ids = task->sample({length, std::nullopt, 0, options.model.seed}).prompt_ids;
  const std::vector<std::int32_t> cached(ids.begin(), ids.end() - 1);  // what a prefill passes

  std::vector<Contender> contenders = {{"tidegauge", [&] { return time_ours(*session.decoder, ids); }}};
  std::vector<std::unique_ptr<Peer>> peers;
  for (const std::string& program : options.peers) {
    peers.push_back(prepared_peer(program, options, session, cached));
    contenders.push_back({peers.back()->name(), [&cached, peer = peers.back().get()] {
                            return Timing{peer->ask({{"do", "prefill"}, {"ids", cached}}).at("ms"), 0};
                          }});
  }
  time_ours(*session.decoder, ids);  // the first pass finds no buffers; the peers have had theirs
  ReadBandwidth memory(session.decoder->n_threads());
  const Rounds rounds = run_rounds(contenders, options.rounds.value_or(5), memory);
  if (!rounds.any()) return;

  auto result = result_head(options, session, rounds, "a prompt's pass");
  result["length"] = length;
  result["tokens_passed"] = cached.size();
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    auto row = row_of(rounds[i], rounds);
    row["program"] = i == 0 ? "tidegauge" : options.peers[i - 1];
    add_rates(row, rounds[i], session.model->config(), std::ssize(cached));
    for (std::size_t p = 1; i == 0 && p < contenders.size(); ++p) {
      add_ratio(row, rounds[0], rounds[p]);
      add_speedup(row, rounds[0], rounds[p]);
    }
    if (i > 0) row["facts"] = peers[i - 1]->facts();
    result["rows"].push_back(row);
  }
  publish_result(options, result);
}

}  // namespace tide::cli
