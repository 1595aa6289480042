// generate: text under a policy.

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/common.h"
#include "cli/decode_loop.h"
#include "cli/offload_options.h"

namespace tide::cli {

namespace {

struct Options {
  ModelOptions model;
  PromptOptions prompt;
  OffloadOptions offload;
  bool json = false;
};

void run(const Options& options) {
  const Session session = open_session(options.model);
  const Tokenizer& tokenizer = session.model->tokenizer();
  const auto policy = bind_policy(options.prompt.policy, *session.model);
  check_offload(options.offload, *policy);
  auto prompt = session.decoder->prefill(prompt_ids(options.prompt, tokenizer, options.model.raw), nullptr,
                                         {}, policy->prompt_needs(), policy.get());
  const auto sequence =
      fork_prompt(session, options.offload, prompt, policy, options.prompt.steps, options.model.seed);
  const double prefill_ms = prompt->prefill_ms;
  prompt.reset();  // what evicts or is offloaded needs its rows no more
  const DecodeResult result =
      decode_loop(*session.decoder, *sequence, options.prompt, options.model.seed, [&](std::int32_t id) {
        if (!options.json) {
          const std::string text = tokenizer.is_special(id) ? "" : tokenizer.token_bytes(id);
          std::fwrite(text.data(), 1, text.size(), stdout);
          std::fflush(stdout);
        }
        return true;
      });
  if (!options.json) {
    std::printf("\n");
    return;
  }
  const auto steps = static_cast<double>(result.ids.size());
  const ModelConfig& config = session.model->config();
  nlohmann::json facts = {
      {"text", tokenizer.decode(result.ids)},
      {"ids", result.ids},
      {"ended", result.ended},
      {"policy", policy->canonical()},
      {"placement", placement_letters(policy->placement())},
      {"prompt_tokens", sequence->prompt_len()},
      {"prefill_ms", prefill_ms},
      {"decode_ms_per_token", result.decode_ms / steps},
      {"rows_read", static_cast<double>(sequence->rows_read()) / steps / config.n_layers / config.n_kv_heads},
      {"bytes_read", sequence->bytes_read()},
      {"cache_bytes", sequence->cache_bytes()}};
  if (sequence->tier() != nullptr) facts["tier"] = tier_facts(*sequence->tier(), steps);
  print_json(facts);
}

}  // namespace

void add_generate(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("generate", "Text under a policy");
  add_prompt_options(*command, options->prompt);
  add_model_options(*command, options->model);
  add_offload_options(*command, options->offload);
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  command->callback([options] { run(*options); });
}

}  // namespace tide::cli
