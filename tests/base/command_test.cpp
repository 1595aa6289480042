#include "base/command.h"

#include <gtest/gtest.h>

#include <string>

namespace tide {
namespace {

TEST(Command, ItsOutputAndStatusComeBack) {
  const auto result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST(Command, MuchOnBothEndsDoesNotBlock) {
  const auto result =
      run_command({"sh", "-c", "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; cat"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.size(), 300'000u);
  EXPECT_EQ(result.err.size(), 300'000u);
}

TEST(Command, OneThatIsNotThereAndOneThatIsKilled) {
  EXPECT_EQ(run_command({"no-such-program-here"}).status, 127);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}).status, 128 + 9);
  EXPECT_TRUE(is_program("sh"));
  EXPECT_FALSE(is_program("no-such-program-here"));
}

}  // namespace
}  // namespace tide
