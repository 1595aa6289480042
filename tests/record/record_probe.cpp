// What the tests in Python and the test that kills a recording run:
//   record_probe write OUT.h5 [key=value …]     a synthetic recording. Keys: placement, prompt, steps,
//   max_steps,
//                                               budget, maps (full, none, topk), k, shadow, tier, deflate,
//                                               prefill (rows), heads, kv_heads, pause_ms
//   record_probe export FILE OUT FORMAT PATH …  datasets of a recording
//   record_probe import DUMP.npz OUT.h5         another program's attention
//   record_probe inspect FILE                   the first problem, or "sound"

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "record/export.h"
#include "record/import.h"
#include "record/inspect.h"
#include "synthetic_recording.h"

namespace {

/// A synthetic run with what only this program needs of it.
struct Settings {
  tide::test::SyntheticSpec spec;
  long long pause_ms = 0, top_k = 4;
  std::string maps = "full";
};

void set(Settings& settings, const std::string& key, const std::string& value) {
  tide::test::SyntheticSpec& spec = settings.spec;
  if (key == "placement") {
    spec.placement = value;
    return;
  }
  if (key == "maps") {
    settings.maps = value;
    return;
  }
  const long long number = tide::parse_integer(value, key);
  const std::map<std::string, std::function<void()>> numbers = {
      {"prompt", [&] { spec.prompt_len = number; }},
      {"steps", [&] { spec.steps = number; }},
      {"max_steps", [&] { spec.max_steps = number; }},
      {"budget", [&] { spec.budget = static_cast<int>(number); }},
      {"heads", [&] { spec.n_heads = static_cast<int>(number); }},
      {"kv_heads", [&] { spec.n_kv_heads = static_cast<int>(number); }},
      {"k", [&] { settings.top_k = number; }},
      {"shadow", [&] { spec.shadow = number != 0; }},
      {"tier", [&] { spec.tier = number != 0; }},
      {"deflate",
       [&] { spec.compression = number != 0 ? tide::Compression::deflate : tide::Compression::none; }},
      {"pause_ms", [&] { settings.pause_ms = number; }},
      {"prefill",
       [&] {
         for (long long row = 0; row < number; ++row) spec.prefill_rows.push_back(row);
       }},
  };
  const auto found = numbers.find(key);
  if (found == numbers.end()) tide::fail_input("{}: unknown key", key);
  found->second();
}

void write(const std::vector<std::string>& arguments) {
  Settings settings;
  settings.spec.path = arguments.at(0);
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const auto parts = tide::split(arguments[i], '=');
    if (parts.size() != 2) tide::fail_input("{}: expected key=value", arguments[i]);
    set(settings, parts[0], parts[1]);
  }
  if (settings.maps == "none") settings.spec.maps = tide::MapsMode::none;
  if (settings.maps == "topk") {
    settings.spec.maps = tide::MapsMode::top_k;
    settings.spec.top_k = static_cast<int>(settings.top_k);
  }
  const tide::test::SyntheticRun synthetic(settings.spec);
  tide::Recorder recorder(synthetic.options(), synthetic.origin(), synthetic.spec().max_steps);
  synthetic.feed_prefill(recorder);
  for (std::int64_t step = 0; step < settings.spec.steps; ++step) {
    synthetic.feed_step(recorder, step);
    if (settings.pause_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(settings.pause_ms));
  }
  recorder.finish();
}

void import_dump(const std::vector<std::string>& arguments) {
  tide::ImportedAttention dump = tide::read_attention_npz(arguments.at(0));
  dump.model_name = "other program";
  dump.n_kv_heads = dump.n_heads;
  tide::write_imported(arguments.at(1), dump);
}

void inspect(const std::vector<std::string>& arguments) {
  const std::string verdict = tide::inspect_recording(arguments.at(0)).verdict();
  std::printf("%s\n", verdict.empty() ? "sound" : verdict.c_str());
}

void run(const std::string& command, const std::vector<std::string>& arguments) {
  if (command == "write") return write(arguments);
  if (command == "import") return import_dump(arguments);
  if (command == "inspect") return inspect(arguments);
  if (command != "export") tide::fail_input("{}: unknown command", command);
  tide::export_datasets(arguments.at(0), {arguments.begin() + 3, arguments.end()},
                        tide::export_format(arguments.at(2)), arguments.at(1));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: record_probe write|export|import|inspect FILE ...\n");
    return 2;
  }
  try {
    run(argv[1], {argv + 2, argv + argc});
    return 0;
  } catch (const tide::InputError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
