#pragma once
// What subcommands share: the model options, progress at a terminal, JSON on stdout, interruption.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "model/model.h"
#include "policy/registry.h"

namespace tide::cli {

/// Options of every command that decodes.
struct ModelOptions {
  std::filesystem::path model;  ///< empty: the installed default model
  std::string dtype = "bf16";
  std::string kv_dtype = "bf16";
  std::string device = "cpu";
  int threads = 0;
  std::string pin = "auto";
  std::uint64_t seed = 0;
  bool raw = false;
};

void add_model_options(CLI::App& command, ModelOptions& options);

/// The model and a decoder for it. Throws InputError (also for `--device cuda` without a GPU).
struct Session {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Decoder> decoder;
};
/// `max_positions`: of a sequence; 0: the model's.
Session open_session(const ModelOptions& options, std::int64_t max_positions = 0);

/// The installed checkpoint, or TIDEGAUGE_MODEL's. Throws InputError when there is none.
std::filesystem::path default_model();

/// The policy of a spec, bound to a model. Throws InputError.
std::shared_ptr<const AttentionPolicy> bind_policy(const std::string& spec, const Model& model);

/// One line on stderr that rewrites itself, shown only at a terminal.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  /// What stands in front of the numbers from now on.
  void relabel(std::string label) { label_ = std::move(label); }
  /// Clears the line, so that another can be printed; the next update writes it again.
  void clear();
  /// `done` of `total` units, with the time left estimated from the pace so far.
  void update(std::int64_t done, std::int64_t total);

 private:
  std::string label_;
  double begin_s_, last_s_ = 0;
  bool terminal_;
};

/// True once SIGINT or SIGTERM has arrived; the first one asks for a clean end.
bool interrupted();
void install_signal_handlers();

/// Throws InputError for an output that is no folder, or one that holds something else than a run with this
/// configuration, unless forced. Makes nothing.
void check_output_folder(const std::filesystem::path& folder, const std::string& config_toml, bool force);

/// Creates the folder for an output. An existing non-empty one is refused without `force` unless its
/// `config.toml` is the same text, which means: resume. Throws InputError.
void prepare_output_folder(const std::filesystem::path& folder, const std::string& config_toml, bool force);

/// Machine-readable result on stdout.
void print_json(const nlohmann::json& value);

/// CPU, threads, library versions and commit, for machine.json.
nlohmann::json machine_facts(int n_threads, std::span<const int> cpus = {});

}  // namespace tide::cli
