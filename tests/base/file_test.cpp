#include "base/file.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::path(::testing::TempDir()) / "tide_files_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  fs::path folder_;
};

TEST_F(Files, AreMappedWhole) {
  const MappedFile file(write("a", std::string("x\0y", 3)));
  ASSERT_EQ(file.bytes().size(), 3u);
  EXPECT_EQ(file.bytes()[2], std::byte{'y'});
  EXPECT_EQ(MappedFile(write("empty", "")).bytes().size(), 0u);
  EXPECT_EQ(read_text(write("b", "line\n")), "line\n");
}

TEST_F(Files, AMappingMovesWithItsOwner) {
  MappedFile first(write("a", "abc"));
  const MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().size(), 3u);
  EXPECT_EQ(first.bytes().size(), 0u);  // NOLINT(bugprone-use-after-move): what a move leaves behind
}

TEST_F(Files, ThatCannotBeReadAreRefusedByName) {
  expect_input_error([&] { MappedFile(folder_ / "absent"); }, "absent");
  expect_input_error([&] { MappedFile{folder_}; }, "not a regular file");
  expect_input_error([&] { read_text(folder_ / "absent"); }, "absent");
  expect_input_error([&] { sha256_of_file(folder_ / "absent"); }, "absent");
}

TEST_F(Files, AreWrittenWholeUnderTheirFinalName) {
  write_text_atomically(folder_ / "out.txt", "first");
  write_text_atomically(folder_ / "out.txt", "second");
  EXPECT_EQ(read_text(folder_ / "out.txt"), "second");
  EXPECT_FALSE(fs::exists(part_path(folder_ / "out.txt")));
}

TEST_F(Files, ThatCannotBeWrittenLeaveTheOldOneAlone) {
  EXPECT_THROW(write_text_atomically(folder_ / "absent" / "out.txt", "text"), WorkError);
  EXPECT_THROW(publish(folder_ / "never_written"), WorkError);
  EXPECT_FALSE(fs::exists(folder_ / "never_written"));
}

TEST_F(Files, OnAFullDiskAreNotPublished) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const fs::path out = folder_ / "out.txt";
  fs::create_symlink("/dev/full", part_path(out));
  EXPECT_THROW(write_text_atomically(out, "text"), WorkError);
  EXPECT_FALSE(fs::exists(out));
  EXPECT_FALSE(fs::is_symlink(part_path(out)));
}

TEST(DroppedPages, AreThoseThatLieWholeInThePart) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, 5 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(memory), 5 * page);
  /// Pages of this memory that are gone (they come back as zeros) when bytes [begin, end) are dropped.
  const auto dropped = [&](std::size_t begin, std::size_t end) {
    std::fill(bytes.begin(), bytes.end(), std::byte{7});
    drop_pages(bytes.subspan(begin, end - begin));
    std::vector<int> gone;
    for (std::size_t i = 0; i < 5; ++i) {
      const auto of_page = bytes.subspan(i * page, page);
      const auto zeros = std::count(of_page.begin(), of_page.end(), std::byte{0});
      EXPECT_TRUE(zeros == 0 || zeros == static_cast<std::ptrdiff_t>(page));
      if (zeros > 0) gone.push_back(static_cast<int>(i));
    }
    return gone;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(dropped(page, 3 * page), ElementsAre(1, 2));
  EXPECT_THAT(dropped(page - 1, 3 * page + 1), ElementsAre(1, 2));
  EXPECT_THAT(dropped(page + 1, 3 * page), ElementsAre(2));
  EXPECT_THAT(dropped(page, 3 * page - 1), ElementsAre(1));
  EXPECT_THAT(dropped(page + 1, 2 * page), ElementsAre());
  EXPECT_THAT(dropped(2 * page, 2 * page), ElementsAre());
  ::munmap(memory, 5 * page);
}

TEST_F(Files, HaveTheSha256OfTheirBytes) {
  EXPECT_EQ(sha256_of_file(write("abc", "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_file(write("empty", "")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace tide::testing
