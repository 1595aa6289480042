#pragma once
// What a sparse-attention method is to the decoder. The decoder knows no method; a method is a
// factory (AttentionPolicy, immutable, shared) and its state for one sequence (PolicyState).
//
// One layer of one step of one sequence:
//   1. the decoder computes q, k, v, rotates q and k, appends k and v to the cache;
//   2. state.choose(step): nullptr to read everything, or the positions to read;
//   3. the decoder attends: full attention (scores out), or gather over exactly those positions;
//   4. after full attention: state.observe(step, scores), where a selection layer chooses; after gather
//      attention: state.finish(step, gathered), where a method sees the weights of what it read, and may add
//      to the output.
//
// Before the first step, layer by layer: state.take_prompt, and where the policy evicts, state.keep.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/thread_pool.h"
#include "kernels/types.h"
#include "model/config.h"

namespace tide {

/// Codes of contracts.md section 2.
enum class Role : std::uint8_t { full = 0, select = 1, sparse = 2, estimate = 3, keep = 4 };

/// 'F', 'S', '.', 'E', 'K'.
char role_letter(Role role);
/// The role of a letter. Throws InputError.
Role role_of_letter(char letter);

/// Lists of positions and who reads them. Rows are padded with -1 up to `width`.
struct PositionSets {
  int n_sets = 0;
  int width = 0;
  std::vector<std::int32_t> position;  ///< [n_sets, width]: forced first (ascending), then by falling score
  std::vector<float> score;  ///< [n_sets, width]: the choosing rule's score; NaN where forced or padded
  std::vector<std::int32_t> count;        ///< [n_sets]
  std::vector<std::int32_t> set_of_head;  ///< [n_heads]: which set each query head reads
  /// The keys are read as if what is read were all there is: the j-th of the n positions of a set, in
  /// ascending order, at distance n - 1 - j from the query (decode/reposition.h). The positions above stay
  /// the original ones.
  bool contiguous = false;
};

/// What a method must know of the prompt's pass besides keys and values. What nobody asks for costs nothing.
struct PromptNeeds {
  int last_queries = 0;      ///< the queries of so many positions at the end of the pass
  bool column_mass = false;  ///< by key, the softmax weights of all queries of the pass summed up
};
/// What serves both.
PromptNeeds united(PromptNeeds a, PromptNeeds b);

/// The answer for one layer.
struct PromptNotes {
  std::int64_t n_queries;    ///< as asked for, fewer after a shorter pass
  const float* query;        ///< [n_queries, n_heads, head_dim], rotated, of the last positions; may be null
  const float* column_mass;  ///< [n_heads, kv_len]; null unless asked for
};

/// Whether a method drops rows of the cache (contracts.md section 2, role K).
enum class Eviction : std::uint8_t {
  never,
  unless_watched,  ///< not while somebody asks for full attention beside what is read
  always
};

/// Full attention's scores of one row at one layer.
struct LayerScores {
  const float* score;        ///< [n_heads, stride]: scaled dot products, by position; none before `first`
  const float* log_sum_exp;  ///< [n_heads]
  std::int64_t stride;
  std::int64_t kv_len;
  std::int64_t first = 0;  ///< the layer reads [first, kv_len) at most (LayerStep)
};

/// What a policy sees of one layer of one step. Valid during the call only.
struct LayerStep {
  int layer;
  std::int64_t step;  ///< 0 for the first decoded token
  std::int64_t prompt_len;
  std::int64_t kv_len;  ///< the token being decoded included
  /// The first position that the layer may read: above 0 where it has a sliding window. Positions before it
  /// that a policy chooses all the same are not read.
  std::int64_t first = 0;
  const float* query;  ///< [n_heads, head_dim], rotated
  kernels::KvView kv;  ///< of this layer, the new row included; see AttentionPolicy::reads_keys
  const ModelConfig* config;
  /// Exact scores over everything (an oracle's privilege; not counted as read). Valid until the next call.
  std::function<LayerScores()> exact_scores;
  kernels::ThreadPool* pool;           ///< the decoder's threads
  const PromptNotes* notes = nullptr;  ///< in take_prompt and keep: AttentionPolicy::prompt_needs
};

/// Where the sets that choose() returned came from (contracts.md section 4, `reused`).
enum class SetOrigin : std::int8_t {
  untold = -1,  ///< the method keeps no sets from step to step, or there were none
  anew = 0,     ///< chosen at this step
  reused = 1    ///< an earlier step's, out of a cache
};

/// What gather attention made of one row at one layer. Valid during the call only.
struct GatherResult {
  const float* log_sum_exp;  ///< [n_heads]: of the scaled dot products of the positions read
  float* output;             ///< [n_heads, head_dim]: attention over them; what the layer goes on with
  const PositionSets* read;  ///< what was read: what choose() returned, within the layer's sliding window
  const float* score;        ///< [n_heads, score_stride]: scaled dot products in the order of a head's set
  std::int64_t score_stride;
};

/// The state of a method for one sequence.
class PolicyState {
 public:
  virtual ~PolicyState() = default;

  /// One layer of the prompt when its pass has ended, before the first step: `prompt.step` is -1, there is no
  /// query, kv_len is prompt_len - 1. What a method keeps of older keys (page bounds, labels) is made here.
  virtual void take_prompt(const LayerStep& prompt) { (void)prompt; }

  /// Asked after take_prompt while rows are being dropped (AttentionPolicy::eviction): the prompt's positions
  /// to hold of this layer, or nullptr for all. From then on a position that a step could read and does not
  /// is gone: no later set may name it for a query head of that KV head. A layer whose keep() was nullptr and
  /// whose every choose() is nullptr loses nothing. Valid until the next call.
  virtual const PositionSets* keep(const LayerStep& prompt) {
    (void)prompt;
    return nullptr;
  }

  /// The positions to read at this layer, or nullptr for everything. The sets stay valid and
  /// unchanged until the same layer's next step.
  virtual const PositionSets* choose(const LayerStep& step) = 0;

  /// What choose() will probably return for this layer later in the same step: rows in a slower tier are
  /// fetched by it. `next.query` is an estimate, or null (AttentionPolicy::foresees_by_query); `next.kv` has
  /// no rows, and next.kv_len is without the row being decoded. Changes nothing that choose() depends on.
  /// nullptr: nobody knows.
  virtual const PositionSets* foresee(const LayerStep& next) {
    (void)next;
    return nullptr;
  }

  /// Called after full attention only. A selection layer chooses here; returns what it chose, or nullptr.
  virtual const PositionSets* observe(const LayerStep& step, const LayerScores& scores) = 0;

  /// Called after gather attention only, before observers see the layer: a method that mixes something into
  /// what was read (SparQ's mean value) changes the output here.
  virtual void finish(const LayerStep& step, const GatherResult& gathered) { (void)step, (void)gathered; }

  /// Of this layer's last choose().
  virtual SetOrigin set_origin(int layer) const {
    (void)layer;
    return SetOrigin::untold;
  }

  /// Bytes of metadata that the method itself read for this layer and step (page bounds, labels).
  virtual std::int64_t metadata_bytes(int layer) const {
    (void)layer;
    return 0;
  }
};

/// One chunk of a prompt at one layer, in a pass that reads sparsely. Valid during the call only.
struct ChunkStep {
  /// `step` is -1, kv_len the number of positions before the chunk, kv their rows; no query, no exact_scores.
  LayerStep before;
  const float* query;  ///< [count, n_heads, head_dim], rotated, of positions before.kv_len + i
  std::int64_t count;
};

/// What a method reads of the prompt while it is being passed: the state of one pass.
class PromptReader {
 public:
  virtual ~PromptReader() = default;
  /// The positions before the chunk that its queries read, besides what stands before each of them inside
  /// the chunk: one set for all heads, or nullptr for all positions. Valid until the next call.
  virtual const PositionSets* choose(const ChunkStep& chunk) = 0;
};

/// How the prompt is passed: prompts that were passed by the same rule are the same.
struct PrefillRule {
  std::string text = {};  ///< the rule and all that it depends on; empty: dense
  int chunk = 0;          ///< positions that choose together; 0: as the decoder likes

  bool is_dense() const { return text.empty(); }
};

/// A method with its parameters, bound to a model. Immutable.
class AttentionPolicy {
 public:
  virtual ~AttentionPolicy() = default;

  /// `name:key=value,…`, all keys, defaults written out, sorted: the row key of results.
  virtual const std::string& canonical() const = 0;
  /// One role a layer.
  virtual std::span<const Role> placement() const = 0;
  /// Whether choose() looks at the prompt's keys at this layer, in LayerStep::kv or through exact_scores.
  /// Where it does not (it chooses by what it made in take_prompt, or not by keys), they may be held
  /// elsewhere than in memory, and LayerStep::kv lacks them.
  virtual bool reads_keys(int layer) const {
    (void)layer;
    return false;
  }
  /// Whether everything at this layer is looked at in each step: attention's own reading, or the choice.
  bool reads_whole(int layer) const;
  /// Whether PolicyState::foresee wants a query at this layer.
  virtual bool foresees_by_query(int layer) const {
    (void)layer;
    return false;
  }
  /// What take_prompt must be told of the prompt's pass.
  virtual PromptNeeds prompt_needs() const { return {}; }
  /// Whether rows are dropped. Then there are no keys to read in LayerStep::kv and no exact_scores, but in
  /// layers that lose nothing. Results are the same bits either way.
  virtual Eviction eviction() const { return Eviction::never; }
  /// After every so many steps the rows that they appended are made again by a dense pass over their tokens:
  /// KV-cache correction (TidalDecode, arXiv 2410.05076, section 3.3). 0: never. Not for what evicts.
  virtual std::int64_t correction_period() const { return 0; }
  /// How the prompts must be passed that the method continues.
  virtual PrefillRule prefill_rule() const { return {}; }
  /// State for one pass by that rule; never asked for where it is dense.
  virtual std::unique_ptr<PromptReader> begin_prompt() const { return nullptr; }
  /// State for one sequence. `seed` drives what is random in the method.
  virtual std::unique_ptr<PolicyState> begin(std::uint64_t seed) const = 0;
  /// Sharing of the sets: "head", "group", "all", or "" where the word does not apply.
  virtual std::string sharing() const { return ""; }
  /// File name of the head map in use; empty: none.
  virtual std::string map() const { return ""; }
  /// Nominal budget as written ("64", "10%"); empty: none.
  virtual std::string budget() const { return ""; }
};

/// The needs of all of them: what a prompt must be prefilled with that they are to continue.
PromptNeeds needs_of(std::span<const std::shared_ptr<const AttentionPolicy>> policies);

/// `FFS.....S...`
std::string placement_letters(std::span<const Role> placement);

}  // namespace tide
