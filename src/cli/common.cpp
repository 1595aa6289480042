#include "cli/common.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/cpus.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder_lock.h"
#include "base/text.h"
#include "cli/device.h"
#include "cli/version.h"

namespace tide::cli {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void on_signal(int signal) {
  if (g_interrupted != 0) {  // the second one ends at once
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupted = 1;
  constexpr std::string_view kTold =
      "\r\033[Kinterrupted: finishing what is in flight; a second time ends at once\n";
  if (::isatty(STDERR_FILENO) != 0 && ::write(STDERR_FILENO, kTold.data(), kTold.size()) < 0) return;
}

kernels::DType kv_dtype_of(const std::string& name) {
  if (name == "bf16") return kernels::DType::bf16;
  if (name == "f16") return kernels::DType::f16;
  if (name == "fp32") return kernels::DType::f32;
  fail_input("kv_dtype: '{}' is unknown, expected bf16, f16 or fp32", name);
}

/// Nothing but the file by which runs keep each other out.
bool holds_nothing(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() != FolderLock::kName) return false;
  }
  return true;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return fmt::format("{}:{:02d}", whole / 60, whole % 60);
}

/// By itself, few threads are not pinned: on a small machine they share their cores with the recorder's.
void place_threads(const ModelOptions& options, DecoderOptions& decoder) {
  const std::vector<int> cores = usable_cores();
  const auto n_cores = static_cast<int>(cores.size());
  decoder.n_threads = options.threads == 0 ? n_cores : options.threads;
  if (options.pin == "yes" && decoder.n_threads > n_cores) {
    fail_input("--pin yes: {} threads, but {} cores", decoder.n_threads, n_cores);
  }
  const bool few = decoder.n_threads < 4 || decoder.n_threads > n_cores;
  if (options.pin == "yes" || (options.pin == "auto" && !few)) decoder.cpus = cores;
}

}  // namespace

std::filesystem::path default_model() {
  if (const char* named = std::getenv("TIDEGAUGE_MODEL"); named != nullptr && *named != '\0') return named;
  const std::string installed = TIDEGAUGE_DEFAULT_MODEL;
  if (installed.empty())
    fail_input("model: no default model is installed; name one with --model or run `make setup`");
  return installed;
}

void add_model_options(CLI::App& command, ModelOptions& options) {
  const auto group = "Model";
  command
      .add_option("--model", options.model,
                  "Checkpoint: a GGUF file or a Hugging Face folder; left out: the installed default model")
      ->group(group);
  command.add_option("--dtype", options.dtype, "Weights in memory")
      ->check(CLI::IsMember({"bf16", "fp32", "q8_0"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--kv-dtype", options.kv_dtype, "KV cache")
      ->check(CLI::IsMember({"bf16", "f16", "fp32"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--threads", options.threads, "Threads; 0: one a core")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--pin", options.pin,
                  "Keep each thread but the first on a core of its own; auto: from 4 threads on")
      ->check(CLI::IsMember({"auto", "yes", "no"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--device", options.device, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options.seed, "Seed of everything random")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--raw", options.raw, "The prompt as it is, without the chat template")->group(group);
}

Session open_session(const ModelOptions& options, std::int64_t max_positions) {
  require_device(options.device);
  Session session;
  DecoderOptions decoder;
  decoder.kv_dtype = kv_dtype_of(options.kv_dtype);
  session.model =
      load_model(options.model.empty() ? default_model() : options.model, weight_type_of(options.dtype));
  place_threads(options, decoder);
  decoder.max_positions = max_positions;
  session.decoder = std::make_unique<Decoder>(session.model, decoder);
  return session;
}

std::shared_ptr<const AttentionPolicy> bind_policy(const std::string& spec, const Model& model) {
  PolicyContext context;
  context.config = &model.config();
  // Only what was made for a model asks which one it is; the digest of a large checkpoint takes seconds.
  const bool asks = spec.starts_with('@') || spec.find("map=@") != std::string::npos ||
                    spec.find("calibration=@") != std::string::npos;
  if (asks) context.model_sha256 = model.sha256();
  return make_policy(spec, context);
}

Progress::Progress(std::string label)
    : label_(std::move(label)), begin_s_(now_s()), terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (terminal_ && last_s_ > 0) std::fprintf(stderr, "\r\033[K");
}

void Progress::update(std::int64_t done, std::int64_t total) {
  const double now = now_s();
  if (!terminal_ || (now - last_s_ < 0.1 && done < total)) return;
  last_s_ = now;
  const double elapsed = now - begin_s_;
  const std::string left =
      done > 0 ? clock_text(elapsed * static_cast<double>(total - done) / static_cast<double>(done)) : "?";
  std::fprintf(stderr, "\r\033[K%s %lld/%lld, %s left", label_.c_str(), static_cast<long long>(done),
               static_cast<long long>(total), left.c_str());
}

bool interrupted() { return g_interrupted != 0; }

void install_signal_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // A full disk or a closed pipe is told by the failing call, in words.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

void check_output_folder(const std::filesystem::path& folder, const std::string& config_toml, bool force) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return;
  if (!std::filesystem::is_directory(folder, error)) {
    fail_input("output {}: exists and is not a folder", folder.string());
  }
  const auto config = folder / "config.toml";
  if (force || holds_nothing(folder)) return;
  if (!std::filesystem::exists(config)) {
    fail_input("output {}: is not empty and has no config.toml; name another folder or use --force",
               folder.string());
  }
  if (read_text(config) != config_toml) {
    fail_input("output {}: holds a run with another configuration; name another folder or use --force",
               folder.string());
  }
}

void prepare_output_folder(const std::filesystem::path& folder, const std::string& config_toml, bool force) {
  check_output_folder(folder, config_toml, force);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail_input("output {}: {}", folder.string(), error.message());
  write_text_atomically(folder / "config.toml", config_toml);
}

void print_json(const nlohmann::json& value) {
  std::printf("%s\n", value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace tide::cli
