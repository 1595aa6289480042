// write_synthetic OUT.h5 [key=value …]: a synthetic recording, for tests in other languages and for the
// test that kills a recording. Keys: placement, prompt, steps, max_steps, budget, maps (full, none, topk),
// k, shadow, deflate, prefill (rows a-b), heads, kv_heads, pause_ms.

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "synthetic_recording.h"

namespace {

int run(int argc, char** argv) {
  using tide::test::SyntheticSpec;
  SyntheticSpec spec;
  spec.path = argv[1];
  long long pause_ms = 0, top_k = 4;
  std::string maps = "full";
  for (int i = 2; i < argc; ++i) {
    const auto parts = tide::split(argv[i], '=');
    if (parts.size() != 2) tide::fail_input("{}: expected key=value", argv[i]);
    const std::string& key = parts[0];
    const auto number = [&] { return tide::parse_integer(parts[1], key); };
    if (key == "placement") spec.placement = parts[1];
    else if (key == "maps") maps = parts[1];
    else if (key == "k") top_k = number();
    else if (key == "prompt") spec.prompt_len = number();
    else if (key == "steps") spec.steps = number();
    else if (key == "max_steps") spec.max_steps = number();
    else if (key == "budget") spec.budget = static_cast<int>(number());
    else if (key == "heads") spec.n_heads = static_cast<int>(number());
    else if (key == "kv_heads") spec.n_kv_heads = static_cast<int>(number());
    else if (key == "shadow") spec.shadow = number() != 0;
    else if (key == "deflate") spec.compression = number() != 0 ? tide::Compression::deflate : tide::Compression::none;
    else if (key == "pause_ms") pause_ms = number();
    else if (key == "prefill") for (long long row = 0; row < number(); ++row) spec.prefill_rows.push_back(row);
    else tide::fail_input("{}: unknown key", key);
  }
  if (maps == "none") spec.maps = tide::MapsMode::none;
  if (maps == "topk") spec.maps = tide::MapsMode::top_k, spec.top_k = static_cast<int>(top_k);
  const tide::test::SyntheticRun synthetic(spec);
  tide::Recorder recorder(synthetic.options(), synthetic.origin(), synthetic.spec().max_steps);
  synthetic.feed_prefill(recorder);
  for (std::int64_t step = 0; step < spec.steps; ++step) {
    synthetic.feed_step(recorder, step);
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
  recorder.finish();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: write_synthetic OUT.h5 [key=value ...]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const tide::InputError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const tide::WorkError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
