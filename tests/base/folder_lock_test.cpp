#include "base/folder_lock.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/error.h"

namespace tide {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::filesystem::path fresh_folder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(FolderLock, TheSecondIsToldWhoHoldsIt) {
  const auto folder = fresh_folder("lock_two");
  EXPECT_EQ(FolderLock::holder(folder), std::nullopt);
  {
    const FolderLock first(folder);
    EXPECT_TRUE(first.holds());
    const std::string us = "process " + std::to_string(::getpid());
    EXPECT_THAT([&] { FolderLock second(folder); }, ThrowsMessage<InputError>(HasSubstr(us)));
    EXPECT_THAT(FolderLock::holder(folder).value_or(""), HasSubstr(us));
  }
  EXPECT_EQ(FolderLock::holder(folder), std::nullopt);
  const FolderLock third(folder);
}

TEST(FolderLock, IsLetGoOfWhenItsProcessIsKilled) {
  const auto folder = fresh_folder("lock_killed");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock held(folder);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT([&] { FolderLock second(folder); },
              ThrowsMessage<InputError>(HasSubstr("process " + std::to_string(child))));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const FolderLock second(folder);
  EXPECT_TRUE(second.holds());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(FolderLock, NeedsAFolder) { EXPECT_THROW(FolderLock("/nowhere/at/all"), WorkError); }

}  // namespace
}  // namespace tide
