// Which processors threads are placed on, told by files of the system's.

#include "base/cpus.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSubsetOf;

class UsableCores : public ::testing::Test {
 protected:
  void write(const std::filesystem::path& file, const std::string& line) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << line << '\n';
  }
  void siblings(int cpu, const std::string& list) {
    write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", list);
  }

  void TearDown() override { std::filesystem::remove_all(root_); }

  std::filesystem::path root_ =
      std::filesystem::path(::testing::TempDir()) / ("cpus_test_" + std::to_string(::getpid()));
  std::vector<int> allowed_ = usable_cores("/nowhere");  // without topology every processor is a core
};

TEST_F(UsableCores, AreProcessorsThatTheProcessMayUse) {
  ASSERT_FALSE(allowed_.empty());
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(set), &set), 0);
  EXPECT_EQ(static_cast<int>(allowed_.size()), CPU_COUNT(&set));
  EXPECT_THAT(usable_cores(), IsSubsetOf(allowed_));
}

TEST_F(UsableCores, LeaveOutTheSecondThreadOfACore) {
  if (allowed_.size() < 2) GTEST_SKIP() << "one processor";
  for (const int cpu : allowed_)
    siblings(cpu, std::to_string(allowed_[0]) + "-" + std::to_string(allowed_.back()));
  EXPECT_THAT(usable_cores(root_), ElementsAre(allowed_[0]));
}

TEST_F(UsableCores, AreAsManyAsTheQuotaPaysFor) {
  write("sys/fs/cgroup/cpu.max", "150000 100000");
  EXPECT_THAT(usable_cores(root_), ElementsAre(allowed_[0]));
  write("sys/fs/cgroup/cpu.max", "20000 100000");
  EXPECT_THAT(usable_cores(root_), ElementsAre(allowed_[0]));
  write("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(usable_cores(root_), allowed_);
}

TEST(CpuLists, AreRangesAndNumbers) {
  EXPECT_THAT(parse_cpu_list("0"), ElementsAre(0));
  EXPECT_THAT(parse_cpu_list("0-2,5"), ElementsAre(0, 1, 2, 5));
  for (const char* wrong : {"", "a", "3-1", "1-", "-2", "0-99999999999"}) {
    EXPECT_THROW(parse_cpu_list(wrong), InputError) << wrong;
  }
}

}  // namespace
}  // namespace tide::testing
