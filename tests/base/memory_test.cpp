#include "base/memory.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace tide {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Bytes, UnitsOfThousandsAndOf1024) {
  EXPECT_EQ(parse_bytes("8GB", "x"), 8'000'000'000);
  EXPECT_EQ(parse_bytes("8 GB", "x"), 8'000'000'000);
  EXPECT_EQ(parse_bytes("8G", "x"), 8LL << 30);
  EXPECT_EQ(parse_bytes("1.5GiB", "x"), 3LL << 29);
  EXPECT_EQ(parse_bytes("512M", "x"), 512LL << 20);
  EXPECT_EQ(parse_bytes("2T", "x"), 2LL << 40);
  EXPECT_EQ(parse_bytes("3KB", "x"), 3000);
  EXPECT_EQ(parse_bytes("4096", "x"), 4096);
  EXPECT_EQ(parse_bytes("4096B", "x"), 4096);
}

TEST(Bytes, OthersAreRefused) {
  for (const char* text : {"", "G", "8X", "8GiBs", "-8G", "0", "1e3", "8GG", "1.2.3G", "999999999T"}) {
    EXPECT_THAT([&] { parse_bytes(text, "--memory"); }, ThrowsMessage<InputError>(HasSubstr("--memory")))
        << text;
  }
}

/// A system's files below a folder.
class System {
 public:
  explicit System(const std::string& name) : root_(std::filesystem::path(::testing::TempDir()) / name) {
    std::filesystem::remove_all(root_);
    write("proc/meminfo", "MemTotal: 16000 kB\nMemAvailable:    8000 kB\n");
  }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

TEST(AvailableMemory, IsTheMachinesWithoutLimits) {
  const System system("memory_plain");
  EXPECT_EQ(available_bytes(system.root()), 8'192'000);
  system.write("proc/self/cgroup", "0::/jobs/one\n");
  system.write("sys/fs/cgroup/jobs/one/memory.max", "max\n");
  system.write("sys/fs/cgroup/jobs/one/memory.current", "100\n");
  EXPECT_EQ(available_bytes(system.root()), 8'192'000);
}

TEST(AvailableMemory, OfTheSecondVersionsGroupsTheTightestCounts) {
  const System system("memory_v2");
  system.write("proc/self/cgroup", "0::/jobs/one/step\n");
  system.write("sys/fs/cgroup/jobs/one/step/memory.max", "6000000\n");
  system.write("sys/fs/cgroup/jobs/one/step/memory.current", "1000000\n");
  EXPECT_EQ(available_bytes(system.root()), 5'000'000);
  system.write("sys/fs/cgroup/jobs/memory.max", "4000000\n");
  system.write("sys/fs/cgroup/jobs/memory.current", "3000000\n");
  system.write("sys/fs/cgroup/jobs/memory.stat", "anon 2500000\ninactive_file 400000\n");
  EXPECT_EQ(available_bytes(system.root()), 1'400'000);
  system.write("sys/fs/cgroup/jobs/memory.current", "4500000\n");
  EXPECT_EQ(available_bytes(system.root()), 0);
}

TEST(AvailableMemory, OfTheFirstVersionsGroupsLikewise) {
  const System system("memory_v1");
  system.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/slurm/job_7\n0::/\n");
  system.write("sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "3000000\n");
  system.write("sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "500000\n");
  system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  system.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "700000000\n");
  EXPECT_EQ(available_bytes(system.root()), 2'500'000);
}

TEST(ResidentMemory, GrowsWithWhatIsWritten) {
  const std::int64_t before = resident_bytes();
  EXPECT_GT(before, 100'000);
  const std::vector<char> written(50'000'000, 'x');
  EXPECT_GT(resident_bytes(), before + 40'000'000) << written[77];
}

}  // namespace
}  // namespace tide
