#pragma once
// Another program timed beside ours: a Python child of the private environment (experiments/peers) that
// is asked and answers in JSON, a line each.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench/bench.h"
#include "cli/child.h"

namespace tide::cli {

class Peer {
 public:
  /// Starts `program` ("llama.cpp" or "hf") with what it is to set up. Throws InputError when the
  /// environment lacks its packages, WorkError when it fails otherwise.
  Peer(const std::string& program, const nlohmann::json& setup);

  /// What it says of itself, e.g. "llama.cpp 0.3.36 bf16".
  const std::string& name() const { return name_; }
  /// All of what it said: versions and settings.
  const nlohmann::json& facts() const { return facts_; }

  /// Adds what it found out about itself since.
  void add_facts(const nlohmann::json& more) { facts_.update(more); }

  /// Its answer to {"do": …}. Throws WorkError with its message when it could not.
  nlohmann::json ask(const nlohmann::json& request);

 private:
  nlohmann::json exchange(const nlohmann::json& request);

  std::string program_;
  Child child_;
  nlohmann::json facts_;
  std::string name_;
};

/// A peer with our model, weights of our type and as many threads: a cache of `n_ctx` tokens shared by
/// `sequences`. Throws as Peer.
std::unique_ptr<Peer> start_peer(const std::string& program, const BenchOptions& options,
                                 const Session& session, std::int64_t n_ctx, std::int64_t sequences = 1);

}  // namespace tide::cli
