#include "cli/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>

#include "base/error.h"

namespace tide::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Device, TakesTheCpu) { EXPECT_NO_THROW(require_device("cpu")); }

TEST(Device, RefusesAnotherName) {
  EXPECT_THAT(refusal([] { require_device("tpu"); }), HasSubstr("expected cpu or cuda"));
}

TEST(Device, NamesTheMissingLibrary) {
  const std::string message = refusal([] { require_cuda("/nowhere/libtidegauge_cuda.so"); });
  EXPECT_THAT(message, HasSubstr("/nowhere/libtidegauge_cuda.so"));
  EXPECT_THAT(message, HasSubstr("nvcc"));
}

TEST(Device, TellsTheReasonOfAMissingGpu) {
  EXPECT_THAT(refusal([] { require_cuda(CUDA_ABSENT); }), HasSubstr("no usable GPU: driver not loaded"));
}

TEST(Device, SaysThatTheDecoderIsNotThereYet) {
  const std::string message = refusal([] { require_cuda(CUDA_FOUND); });
  EXPECT_THAT(message, HasSubstr("Stand-in GPU"));
  EXPECT_THAT(message, HasSubstr("not part of this build"));
}

TEST(Device, RefusesALibraryOfAnotherKind) {
  EXPECT_THAT(refusal([] { require_cuda(CUDA_FOREIGN); }), HasSubstr("tidegauge_cuda_probe"));
  const std::string text = ::testing::TempDir() + "/not_a_library.so";
  std::ofstream(text) << "text";
  const std::string message = refusal([&] { require_cuda(text); });
  EXPECT_THAT(message, HasSubstr("open the backend"));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace tide::cli
