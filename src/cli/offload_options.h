#pragma once
// Offloading from the command line: where the prompt's keys and values go, and how much of them stays in
// memory.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/common.h"
#include "decode/decoder.h"

namespace tide::cli {

struct OffloadOptions {
  std::filesystem::path folder;  ///< on a local disk; empty: everything stays in memory
  std::string fast_tier = "25%";
  std::int64_t block_rows = 0;  ///< positions a read brings; 0: as many as make 4096 bytes
};

/// Options --offload, --fast-tier and --block.
void add_offload_options(CLI::App& command, OffloadOptions& options);

/// `25%` of `bytes`, or `48M` (MiB). Throws InputError.
std::size_t fast_tier_bytes(const std::string& text, std::size_t bytes);

/// Throws InputError where the options ask for offloading and the policy has nothing to offload, or where
/// they cannot be read: before a prompt is passed.
void check_offload(const OffloadOptions& options, const AttentionPolicy& policy);

/// The prompt's file, and the size of its fast tier. Throws InputError: see KvFile.
TierOptions make_tier(const OffloadOptions& options, const Model& model, const Prompt& prompt);

/// Decoder::fork, offloaded where the options say so. Throws InputError.
std::unique_ptr<Sequence> fork_prompt(const Session& session, const OffloadOptions& options,
                                      const std::shared_ptr<const Prompt>& prompt,
                                      const std::shared_ptr<const AttentionPolicy>& policy,
                                      std::int64_t max_steps, std::uint64_t seed,
                                      DecodeObserver* observer = nullptr);

/// What the slower tier was asked: bytes and blocks a step, shares of hits, milliseconds of waiting a step.
nlohmann::json tier_facts(const TierCounts& counts, double steps);

}  // namespace tide::cli
