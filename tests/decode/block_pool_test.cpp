// The fast tier's parts by themselves: which block is where, which gives way, and that what is in a slot or
// in a layer's room is what was asked for.

#include "decode/block_pool.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "decode/whole_layers.h"
#include "tests/decode/direct_io.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using Keys = std::vector<std::int32_t>;

constexpr std::int64_t kRows = 40, kBlockRows = 4, kBlocks = 10;  // a block: 512 bytes of K and V in f32

/// A file of rows that tell where they belong.
class FileOfNumbers : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why = why_no_direct_io();
    if (!why.empty()) GTEST_SKIP() << why;
    rows_ = std::make_unique<KvRows>(config_, DType::f32, 0, kRows);
    std::vector<float> k(static_cast<std::size_t>(config_.n_kv_heads * config_.head_dim)), v(k.size());
    for (int layer = 0; layer < config_.n_layers; ++layer) {
      for (std::int64_t position = 0; position < kRows; ++position) {
        for (int head = 0; head < config_.n_kv_heads; ++head) {
          const auto at = k.begin() + head * config_.head_dim;
          std::fill_n(at, config_.head_dim, value_of(layer, head, position));
          std::fill_n(v.begin() + (at - k.begin()), config_.head_dim, -value_of(layer, head, position));
        }
        rows_->write(layer, position, k.data(), v.data());
      }
    }
    rows_->set_count(kRows);
    file_ = std::make_shared<KvFile>(config_, *rows_, kFolder, kBlockRows);
    n_keys_ = config_.n_layers * config_.n_kv_heads * static_cast<int>(kBlocks);
  }

  static float value_of(std::int64_t layer, std::int64_t head, std::int64_t position) {
    return static_cast<float>(1000 * layer + 100 * head + position + 1);
  }

  void TearDown() override {
    if (reader_ != nullptr) reader_->stop();
  }

  ModelConfig config_ = tiny_config();
  std::shared_ptr<const KvFile> file_;
  std::unique_ptr<KvRows> rows_;
  int n_keys_ = 0;
  std::unique_ptr<BlockReader> reader_;
};

class Pool : public FileOfNumbers {
 protected:
  void make(std::int64_t n_slots) {
    reader_ = std::make_unique<BlockReader>(file_, 3);
    pool_ = std::make_unique<BlockPool>(file_, n_keys_, n_slots, *reader_);
    counts_ = {};
  }
  /// Uses the blocks and looks at every row of each.
  void use(const Keys& keys) {
    const auto slots = pool_->use(keys, counts_);
    const kernels::KvSegment segment = pool_->segment();
    std::set<std::int32_t> distinct(slots.begin(), slots.end());
    ASSERT_EQ(distinct.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::int64_t head = keys[i] / kBlocks, block = keys[i] % kBlocks;
      for (std::int64_t row = 0; row < kBlockRows; ++row) {
        const std::int64_t at = pool_->row(slots[i], row) * config_.head_dim;
        const float wanted =
            value_of(head / config_.n_kv_heads, head % config_.n_kv_heads, block * kBlockRows + row);
        for (const std::int64_t d : {0, config_.head_dim - 1}) {
          ASSERT_EQ(static_cast<const float*>(segment.k)[at + d], wanted) << "key " << keys[i];
          ASSERT_EQ(static_cast<const float*>(segment.v)[at + d], -wanted) << "key " << keys[i];
        }
      }
    }
  }

  /// Blocks of a use that were held, predicted and missed.
  Keys counted(const Keys& keys) {
    const TierCounts before = counts_;
    use(keys);
    return {static_cast<std::int32_t>(counts_.held - before.held),
            static_cast<std::int32_t>(counts_.predicted - before.predicted),
            static_cast<std::int32_t>(counts_.missed - before.missed)};
  }

  std::unique_ptr<BlockPool> pool_;
  TierCounts counts_;
};

TEST_F(Pool, TheBlockUsedLongestAgoGivesWay) {
  make(3);
  for (const Keys& keys : {Keys{11}, Keys{22}, Keys{33}}) EXPECT_THAT(counted(keys), ElementsAre(0, 0, 1));
  EXPECT_THAT(counted({11}), ElementsAre(1, 0, 0));
  EXPECT_THAT(counted({44}), ElementsAre(0, 0, 1));  // in place of 22
  EXPECT_THAT(counted({11, 33}), ElementsAre(2, 0, 0));
  EXPECT_THAT(counted({22}), ElementsAre(0, 0, 1));  // in place of 44
  EXPECT_THAT(counted({11, 33}), ElementsAre(2, 0, 0));
  EXPECT_EQ(counts_.wanted, 10);
  EXPECT_EQ(reader_->bytes(), counts_.missed * 512);
}

TEST_F(Pool, WhatAUseFindsIsNotPutOutByWhatItBrings) {
  make(4);
  use({50});
  use({1, 2, 3});
  EXPECT_THAT(counted({50, 60, 61, 62}), ElementsAre(1, 0, 3));  // 50 was the oldest
}

TEST_F(Pool, AUseOfMoreThanThereIsRoomForFailsAlsoWhenSomeAreThere) {
  make(3);
  use({5, 6});
  try {
    pool_->use(Keys{5, 6, 7, 8}, counts_);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const WorkError& error) {
    EXPECT_STREQ(error.what(), "offload: the fast tier has room for 3 blocks, one layer's choice takes 4");
  }
}

TEST_F(Pool, WhatIsFetchedTakesOnlyTheRoomThatTheRunningUseLeaves) {
  make(3);
  use({1, 2});
  pool_->fetch(Keys{30, 31, 32}, counts_);
  EXPECT_EQ(counts_.fetched, 1);
  EXPECT_THAT(counted({30, 31, 32}), ElementsAre(0, 1, 2));
}

TEST_F(Pool, AFetchOfMoreThanThereIsRoomForKeepsItsFirstBlocks) {
  make(3);
  pool_->fetch(Keys{30, 31, 32, 33, 34}, counts_);
  EXPECT_EQ(counts_.fetched, 3);
  EXPECT_THAT(counted({30, 31, 32}), ElementsAre(0, 3, 0));
}

TEST_F(Pool, AFetchDoesNotPutOutWhatItFindsHere) {
  make(3);
  use({30});
  use({1});
  pool_->fetch(Keys{30, 31, 32}, counts_);  // 30 is the oldest
  EXPECT_EQ(counts_.fetched, 1);
  EXPECT_THAT(counted({30, 31}), ElementsAre(1, 1, 0));
}

TEST_F(Pool, WhatIsFetchedIsThereForTheNextUseAndAfterIt) {
  make(4);
  use({1, 2});
  pool_->fetch(Keys{30, 31}, counts_);
  EXPECT_THAT(counted({40, 41}), ElementsAre(0, 0, 2));  // a wrong prediction
  EXPECT_THAT(counted({30, 31}), ElementsAre(0, 2, 0));
  EXPECT_THAT(counted({30, 31}), ElementsAre(2, 0, 0));  // predicted once
}

TEST_F(Pool, AWrongPredictionGivesWayToWhatIsNeeded) {
  make(4);
  use({1});
  pool_->fetch(Keys{30, 31, 32}, counts_);
  EXPECT_EQ(counts_.fetched, 3);
  EXPECT_THAT(counted({31, 40, 41, 42}), ElementsAre(0, 1, 3));
  EXPECT_THAT(counted({31, 40, 41, 42}), ElementsAre(4, 0, 0));  // nothing of it is left
}

TEST_F(Pool, HoldsTheBlocksThatWereAskedForWhateverIsUnderWay) {
  std::mt19937 random(5);
  for (const std::int64_t n_slots : {6, 9, 30}) {
    make(n_slots);
    const auto draw = [&](std::int64_t most) {
      std::set<std::int32_t> keys;
      const auto count = 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(most));
      while (std::ssize(keys) < count)
        keys.insert(static_cast<std::int32_t>(random() % static_cast<unsigned>(n_keys_)));
      return Keys(keys.begin(), keys.end());
    };
    for (int round = 0; round < 400; ++round) {
      pool_->fetch(draw(n_slots), counts_);
      ASSERT_NO_FATAL_FAILURE(use(draw(n_slots / 2)));
      if (round % 3 == 0) pool_->fetch(draw(n_slots), counts_);  // two predictions, neither of them right
    }
    EXPECT_EQ(counts_.wanted, counts_.held + counts_.predicted + counts_.missed);
    reader_->stop();
  }
}

class Rooms : public FileOfNumbers {
 protected:
  void make(const std::vector<int>& held) {
    reader_ = std::make_unique<BlockReader>(file_, 3);
    layers_ = std::make_unique<WholeLayers>(config_, *rows_, file_, held, *reader_);
  }

  /// Whether a segment has every row of a layer.
  ::testing::AssertionResult holds(const kernels::KvSegment& segment, int layer) const {
    for (int head = 0; head < config_.n_kv_heads; ++head) {
      for (std::int64_t position = 0; position < kRows; ++position) {
        const std::int64_t at = head * segment.head_stride + position * config_.head_dim;
        const float k = static_cast<const float*>(segment.k)[at],
                    v = static_cast<const float*>(segment.v)[at];
        if (k != value_of(layer, head, position) || v != -k)
          return ::testing::AssertionFailure() << "layer " << layer << ", position " << position << ": " << k;
      }
    }
    return ::testing::AssertionSuccess();
  }

  std::unique_ptr<WholeLayers> layers_;
  TierCounts counts_;
};

TEST_F(Rooms, ALayerStaysWhileTheNextOneComes) {
  make({3});
  const auto first = layers_->rows(0, counts_);
  layers_->fetch(1);
  EXPECT_TRUE(layers_->has(0) && layers_->has(1) && layers_->has(3) && !layers_->has(2));
  const auto second = layers_->rows(1, counts_);
  EXPECT_TRUE(holds(first, 0));
  EXPECT_TRUE(holds(second, 1));
  EXPECT_TRUE(holds(layers_->rows(3, counts_), 3));
  EXPECT_EQ(reader_->bytes(), static_cast<std::int64_t>(2 * WholeLayers::layer_bytes(*file_, config_)));
}

TEST_F(Rooms, ALayerFetchedForNothingDoesNotWriteIntoTheNextOne) {
  make({});
  std::mt19937 random(3);
  const auto draw = [&] { return static_cast<int>(random() % static_cast<unsigned>(config_.n_layers)); };
  for (int round = 0; round < 200; ++round) {
    layers_->fetch(draw());
    layers_->fetch(draw());
    const int layer = draw();
    ASSERT_TRUE(holds(layers_->rows(layer, counts_), layer)) << "round " << round;
  }
}

}  // namespace
}  // namespace tide::testing
