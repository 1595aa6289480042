// tidegauge import DUMP.npz --out: attention of another program as a recording.

#include "record/import.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"

namespace tide::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  fs::path dump, out;
  std::string model_name;
  int kv_heads = 0;
  bool force = false, json = false;
};

void run(const Options& options, const std::string& config) {
  if (!options.force && fs::exists(options.out)) {
    fail_input("import: {} exists; name another file or use --force", options.out.string());
  }
  ImportedAttention dump = read_attention_npz(options.dump);
  dump.model_name = options.model_name.empty() ? options.dump.stem().string() : options.model_name;
  dump.config_toml = config;
  dump.n_kv_heads = options.kv_heads == 0 ? dump.n_heads : options.kv_heads;
  if (dump.n_heads % dump.n_kv_heads != 0) {
    fail_input("import: --kv-heads {} does not divide the dump's {} heads", dump.n_kv_heads, dump.n_heads);
  }
  write_imported(options.out, dump);
  if (options.json) {
    print_json({{"file", options.out.string()},
                {"layers", dump.n_layers},
                {"steps", dump.steps},
                {"heads", dump.n_heads},
                {"positions", dump.positions}});
  } else {
    std::printf("%s: %d layers, %lld steps, %d heads, %lld positions\n", options.out.c_str(), dump.n_layers,
                static_cast<long long>(dump.steps), dump.n_heads, static_cast<long long>(dump.positions));
  }
}

}  // namespace

void add_import(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("import", "Attention exported from another program as a recording");
  command->add_option("dump", options->dump, "An .npz of arrays layer_NN [steps, heads, positions]")
      ->required();
  command->add_option("--out", options->out, "The recording to write")->required();
  command->add_option("--model-name", options->model_name,
                      "What the recording calls the model; left out: the dump's name");
  command->add_option("--kv-heads", options->kv_heads, "KV heads of that model; left out: one a query head")
      ->check(CLI::Range(1, 1 << 16));
  command->add_flag("--force", options->force, "Replace what is there");
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  command->callback([options, command] { run(*options, resolved_config(*command)); });
}

}  // namespace tide::cli
