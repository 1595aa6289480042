#include "task/task.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "task/needle.h"
#include "task/plain_text.h"
#include "task/prompt.h"
#include "task/random.h"
#include "task/text_source.h"

namespace tide {

namespace {

using TextPointer = std::shared_ptr<const TextSource>;

struct Entry {
  const char* name;
  std::unique_ptr<Task> (*make)(TextPointer text, const TaskOptions& options, const Tokenizer& tokenizer);
};

/// One line a task.
constexpr Entry kTasks[] = {
    {"needle",
     [](TextPointer text, const TaskOptions& options, const Tokenizer& tokenizer) -> std::unique_ptr<Task> {
       return std::make_unique<NeedleTask>(std::move(text), options.raw, tokenizer);
     }},
    {"text",
     [](TextPointer text, const TaskOptions&, const Tokenizer& tokenizer) -> std::unique_ptr<Task> {
       return std::make_unique<PlainTextTask>(std::move(text), tokenizer);
     }},
};

TextPointer open_text(const std::filesystem::path& file) {
  if (file.empty()) return std::make_shared<TextSource>(king_james_text(), "King James Bible");
  return std::make_shared<TextSource>(to_valid_utf8(read_text(file)), file.string());
}

}  // namespace

std::uint64_t Sample::random_seed() const {
  std::uint64_t seed = mix_seed(spec.seed, task);
  seed = mix_seed(seed, static_cast<std::uint64_t>(spec.length));
  seed = mix_seed(seed, spec.depth ? static_cast<std::uint64_t>(*spec.depth * 1e6 + 0.5) : ~0ull);
  return mix_seed(seed, static_cast<std::uint64_t>(spec.index));
}

std::string Sample::id() const {
  const std::string depth = spec.depth ? fmt::format("-d{:.2f}", *spec.depth) : "";
  return fmt::format("{}-{}{}-{:03d}-seed{}", task, spec.length, depth, spec.index, spec.seed);
}

std::unique_ptr<Task> make_task(std::string_view name, const TaskOptions& options,
                                const Tokenizer& tokenizer) {
  const auto* entry =
      std::find_if(std::begin(kTasks), std::end(kTasks), [&](const Entry& e) { return e.name == name; });
  if (entry == std::end(kTasks)) {
    fail_input("task '{}' is unknown; the nearest is '{}'", name, nearest(name, task_names()));
  }
  return entry->make(open_text(options.text), options, tokenizer);
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kTasks) names.emplace_back(entry.name);
  return names;
}

std::vector<std::int32_t> ids_after_prompt(std::span<const std::int32_t> prompt,
                                           std::span<const std::int32_t> whole) {
  if (whole.size() <= prompt.size() || !std::equal(prompt.begin(), prompt.end(), whole.begin())) {
    fail_input(
        "task: this tokenizer joins the answer with the end of the prompt, so the answer has no tokens of "
        "its own");
  }
  return {whole.begin() + static_cast<std::ptrdiff_t>(prompt.size()), whole.end()};
}

}  // namespace tide
