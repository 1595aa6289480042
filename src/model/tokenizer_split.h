#pragma once
// How text is cut into pieces before byte pairs are merged: no token spans two pieces.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tide {

/// A compiled splitting pattern, shared by any number of threads.
class Splitter {
 public:
  /// What one thread needs while it splits.
  class Scratch {
   public:
    explicit Scratch(const Splitter& splitter);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Splitter;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  /// `name`: "gpt2", "smollm" (every digit is a piece of its own), "llama3" or "qwen2"; "none" (all of the
  /// text is one piece) or "marks" (a piece begins at every mark of a space) for text whose spaces are
  /// marked. Throws InputError.
  explicit Splitter(const std::string& name);
  ~Splitter();
  Splitter(const Splitter&) = delete;
  Splitter& operator=(const Splitter&) = delete;

  /// Where the piece that begins at `begin` ends. `text` is valid UTF-8 and begin < text.size().
  std::size_t piece_end(std::string_view text, std::size_t begin, Scratch& scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tide
