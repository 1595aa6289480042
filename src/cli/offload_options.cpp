#include "cli/offload_options.h"

#include "base/error.h"
#include "base/text.h"
#include "decode/kv_file.h"

namespace tide::cli {

void add_offload_options(CLI::App& command, OffloadOptions& options) {
  const auto group = "Offloading";
  command
      .add_option("--offload", options.folder,
                  "Folder on a local disk: the prompt's keys and values go into a nameless file there, and "
                  "only what is read comes back")
      ->group(group);
  command
      .add_option("--fast-tier", options.fast_tier,
                  "Memory for offloaded keys and values: a share of them (25%) or MiB (48M)")
      ->capture_default_str()
      ->group(group);
  command.add_option("--block", options.block_rows, "Positions that one read brings [4096 bytes' worth]")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->group(group);
}

std::size_t fast_tier_bytes(const std::string& text, std::size_t bytes) {
  const char unit = text.empty() ? ' ' : text.back();
  if (unit != '%' && unit != 'M') {
    fail_input("--fast-tier {}: expected a share of the cache such as 25% or MiB such as 48M", text);
  }
  const double number = parse_number(text.substr(0, text.size() - 1), "--fast-tier");
  if (number <= 0) fail_input("--fast-tier {}: expected more than 0", text);
  if (unit == '%' && number > 100) fail_input("--fast-tier {}: expected at most 100%", text);
  const double wanted = unit == '%' ? number / 100 * static_cast<double>(bytes) : number * (1 << 20);
  return static_cast<std::size_t>(std::min(wanted, 1e15));
}

TierOptions make_tier(const OffloadOptions& options, const Model& model, const Prompt& prompt) {
  TierOptions tier;
  tier.fast_bytes = fast_tier_bytes(options.fast_tier, prompt.rows->bytes());
  tier.file = std::make_shared<KvFile>(model.config(), *prompt.rows, options.folder, options.block_rows);
  return tier;
}

void check_offload(const OffloadOptions& options, const AttentionPolicy& policy) {
  if (options.folder.empty()) return;
  check_can_offload(policy);
  fast_tier_bytes(options.fast_tier, 0);
}

std::unique_ptr<Sequence> fork_prompt(const Session& session, const OffloadOptions& options,
                                      const std::shared_ptr<const Prompt>& prompt,
                                      const std::shared_ptr<const AttentionPolicy>& policy,
                                      std::int64_t max_steps, std::uint64_t seed, DecodeObserver* observer) {
  if (options.folder.empty()) return session.decoder->fork(prompt, policy, max_steps, seed, observer);
  const TierOptions tier = make_tier(options, *session.model, *prompt);
  return session.decoder->fork(prompt, policy, max_steps, seed, observer, &tier);
}

nlohmann::json tier_facts(const TierCounts& counts, double steps) {
  const auto share = [](std::int64_t part, std::int64_t of) {
    return of == 0 ? nlohmann::json() : nlohmann::json(static_cast<double>(part) / static_cast<double>(of));
  };
  return {{"bytes_per_step", static_cast<double>(counts.bytes) / steps},
          {"blocks_per_step", static_cast<double>(counts.wanted) / steps},
          {"held_share", share(counts.held, counts.wanted)},
          // Of the blocks that were not there: those that the prediction brought in time.
          {"prediction_hit_rate", share(counts.predicted, counts.predicted + counts.missed)},
          {"prediction_used_share", share(counts.predicted, counts.fetched)},
          {"stall_ms_per_step", counts.stall_ms / steps}};
}

}  // namespace tide::cli
