#pragma once
// Workloads: what a sample is, and the tasks that make samples.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"

namespace tide {

/// How good one output is.
struct Score {
  std::optional<bool> correct;  ///< nothing: the task has no right answer
  std::optional<double> score;  ///< in [0, 1]; 0 or 1 where the task is yes or no
};

/// Which sample is wanted. The same spec always gives the same sample.
struct SampleSpec {
  std::int64_t length = 0;  ///< tokens of the whole prompt, the chat template's own included
  std::optional<double>
      depth;  ///< where the evidence stands, a share of the text; nothing where it does not apply
  std::int64_t index = 0;  ///< number of the sample among those of the same length and depth
  std::uint64_t seed = 0;  ///< of the whole set of samples
};

/// A prompt and what is expected of it.
struct Sample {
  std::string task;
  SampleSpec spec;
  std::vector<std::int32_t> prompt_ids;  ///< [length]
  std::vector<std::string> answers;      ///< reference answers; empty where there is none
  /// The tokens that follow the prompt in teacher-forced measures: the first reference answer as it
  /// stands after the prompt, or the text's own continuation.
  std::vector<std::int32_t> answer_ids;
  int max_new_tokens = 0;  ///< the protocol's limit on the answer

  /// Seed of everything random in decoding this sample: the same for every policy.
  std::uint64_t random_seed() const;
  /// A name that can be a file's: `needle-1024-d0.50-003-seed0`.
  std::string id() const;
};

/// A workload. Immutable: sample() may be called in any order.
class Task {
 public:
  virtual ~Task() = default;
  virtual const std::string& name() const = 0;
  /// Whether samples differ by depth.
  virtual bool has_depth() const = 0;
  /// Throws InputError when the length is too small for the protocol or the text is too short for it.
  virtual Sample sample(const SampleSpec& spec) const = 0;
  /// Scores what was decoded after the prompt (special tokens left out).
  virtual Score score(const Sample& sample, std::string_view output) const = 0;
};

struct TaskOptions {
  std::filesystem::path
      text;          ///< running text, UTF-8; empty: the King James Bible of Debian's bible-kjv-text
  bool raw = false;  ///< no chat template
};

/// The task of that name. `tokenizer` must outlive it. Throws InputError: an unknown name (with the
/// nearest one), a text that cannot be had.
std::unique_ptr<Task> make_task(std::string_view name, const TaskOptions& options,
                                const Tokenizer& tokenizer);

/// Names that make_task takes.
std::vector<std::string> task_names();

}  // namespace tide
