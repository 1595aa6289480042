#include <gmock/gmock.h>

#include "base/error.h"
#include "decode/policy.h"

namespace tide {
namespace {

TEST(Role, LettersAndCodesAreThoseOfTheContract) {
  const std::string letters = "FS.EK";
  for (std::size_t code = 0; code < letters.size(); ++code) {
    EXPECT_EQ(role_letter(static_cast<Role>(code)), letters[code]);
    EXPECT_EQ(static_cast<std::size_t>(role_of_letter(letters[code])), code);
  }
}

TEST(Role, AnotherLetterIsRefused) {
  for (const char letter : {'f', 'X', ' ', '\0'}) EXPECT_THROW(role_of_letter(letter), InputError);
}

TEST(Placement, IsWrittenOneLetterALayer) {
  const std::vector<Role> placement = {Role::full, Role::select, Role::sparse, Role::estimate, Role::keep};
  EXPECT_EQ(placement_letters(placement), "FS.EK");
}

}  // namespace
}  // namespace tide
