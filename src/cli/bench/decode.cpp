// bench decode: milliseconds a token under policies.

#include <chrono>
#include <memory>

#include "analysis/statistics.h"
#include "cli/bench/bench.h"
#include "cli/bench/peer.h"
#include "cli/bench/result.h"
#include "cli/bench/rounds.h"
#include "model/weights.h"
#include "task/task.h"

namespace tide::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kWarmUp = 2;  // steps of a round that are not counted

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// One round: a fresh fork of the prompt, its median step. The choice of the next token is counted.
Timing time_steps(Decoder& decoder, const std::shared_ptr<const Prompt>& prompt,
                  const std::shared_ptr<const AttentionPolicy>& policy, std::int64_t steps) {
  const auto sequence = decoder.fork(prompt, policy, kWarmUp + steps);
  Sequence* row = sequence.get();
  std::int32_t fed = prompt->ids.back();
  std::vector<double> step_ms;
  for (std::int64_t i = 0; i < kWarmUp + steps; ++i) {
    const auto begin = Clock::now();
    decoder.step({&row, 1}, {&fed, 1});
    fed = argmax(sequence->logits());
    if (i >= kWarmUp) step_ms.push_back(ms_since(begin));
  }
  const double cache_bytes =
      static_cast<double>(sequence->bytes_read()) / static_cast<double>(kWarmUp + steps);
  return {analysis::median(step_ms), static_cast<double>(decoder.model().weights().bytes()) + cache_bytes};
}

Timing time_peer(Peer& peer, const Prompt& prompt, std::int64_t steps) {
  const auto answer =
      peer.ask({{"do", "decode"}, {"first", prompt.ids.back()}, {"steps", steps}, {"warm_up", kWarmUp}});
  return {analysis::median(answer.at("step_ms").get<std::vector<double>>()), 0};
}

std::unique_ptr<Peer> start_peer(const std::string& program, const BenchOptions& options,
                                 const Session& session, const Prompt& prompt, std::int64_t steps) {
  auto peer = std::make_unique<Peer>(program, nlohmann::json{{"model", session.model->path().string()},
                                                             {"sha256", session.model->sha256()},
                                                             {"dtype", options.model.dtype},
                                                             {"n_ctx", prompt.prompt_len() + kWarmUp + steps},
                                                             {"threads", session.decoder->n_threads()}});
  std::vector<std::int32_t> cached(prompt.ids.begin(), prompt.ids.end() - 1);
  peer->ask({{"do", "prefill"}, {"ids", cached}});
  return peer;
}

}  // namespace

void bench_decode(const BenchOptions& options) {
  const std::int64_t length = options.length.value_or(1024), steps = options.steps.value_or(32);
  const Session session = open_session(options.model);
  Decoder& decoder = *session.decoder;
  std::vector<std::shared_ptr<const AttentionPolicy>> policies;
  for (const std::string& spec : options.policies) policies.push_back(bind_policy(spec, *session.model));
  const auto task = make_task("text", {}, session.model->tokenizer());
  const auto prompt = decoder.prefill(task->sample({length, std::nullopt, 0, options.model.seed}).prompt_ids);

  std::vector<Contender> contenders;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    contenders.push_back({options.policies[i],
                          [&, policy = policies[i]] { return time_steps(decoder, prompt, policy, steps); }});
  }
  std::vector<std::unique_ptr<Peer>> peers;
  for (const std::string& program : options.peers) {
    peers.push_back(start_peer(program, options, session, *prompt, steps));
    Peer* peer = peers.back().get();
    contenders.push_back({peer->name(), [&prompt, peer, steps] { return time_peer(*peer, *prompt, steps); }});
  }
  ReadBandwidth memory(decoder.n_threads());
  const Rounds rounds = run_rounds(contenders, options.rounds.value_or(7), memory);
  if (!rounds.any()) return;

  auto result = result_head(options, session, rounds, "a decoded token");
  result["length"] = length;
  result["steps"] = steps;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    auto row = row_of(rounds.figures[i], rounds);
    const bool is_ours = i < policies.size();
    row["program"] = is_ours ? "tidegauge" : options.peers[i - policies.size()];
    for (std::size_t p = policies.size(); is_ours && p < contenders.size(); ++p) {
      add_ratio(row, rounds.figures[i], rounds.figures[p]);
    }
    if (is_ours) row["policy"] = policies[i]->canonical();
    if (!is_ours) row["facts"] = peers[i - policies.size()]->facts();
    result["rows"].push_back(row);
  }
  publish_result(options, result);
}

}  // namespace tide::cli
