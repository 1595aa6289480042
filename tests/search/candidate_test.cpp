#include "search/candidate.h"

#include <gmock/gmock.h>

#include <set>

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

TEST(CandidateSpace, HoldsEveryPlacementOnce) {
  for (const bool fixed : {true, false}) {
    for (int n_select = 1; n_select <= 5; ++n_select) {
      const CandidateSpace space{9, 2, 5, fixed};
      const auto all = space.all(n_select);
      EXPECT_EQ(space.count(n_select), std::ssize(all));
      EXPECT_EQ(std::set<Candidate>(all.begin(), all.end()).size(), all.size());
      for (const Candidate& candidate : all) {
        ASSERT_EQ(std::ssize(candidate.select), n_select);
        EXPECT_TRUE(fixed ? candidate.select.front() == 2 : candidate.select.front() >= 2);
        EXPECT_LT(candidate.select.back(), 9);
      }
    }
  }
  // 30 layers: 2 and one behind it; any two behind layer 1.
  EXPECT_EQ((CandidateSpace{30, 2, 2, true}.count(2)), 27);
  EXPECT_EQ((CandidateSpace{30, 2, 2, false}.count(2)), 378);
  EXPECT_EQ((CandidateSpace{4, 2, 9, true}.count(3)), 0);
  EXPECT_TRUE((CandidateSpace{4, 2, 9, true}.all(3).empty()));
  EXPECT_GT((CandidateSpace{200, 2, 99, false}.count(99)), std::int64_t{1} << 40);
}

TEST(CandidateSpace, ExtendsByOneLayer) {
  const CandidateSpace space{6, 2, 3, true};
  EXPECT_THAT(space.extended({{{2, 4}}}), ElementsAre(Candidate{{2, 3, 4}}, Candidate{{2, 4, 5}}));
  EXPECT_THAT(space.extended({{{2, 3}}, {{2, 4}}}),
              UnorderedElementsAre(Candidate{{2, 3, 4}}, Candidate{{2, 3, 5}}, Candidate{{2, 4, 5}}));
}

TEST(CandidateSpace, MovesOneLayer) {
  const CandidateSpace fixed{6, 2, 2, true}, any{6, 2, 2, false};
  EXPECT_THAT(fixed.moved({{{2, 4}}}), UnorderedElementsAre(Candidate{{2, 3}}, Candidate{{2, 5}}));
  EXPECT_THAT(any.moved({{{2, 4}}}), UnorderedElementsAre(Candidate{{2, 3}}, Candidate{{2, 5}},
                                                          Candidate{{3, 4}}, Candidate{{4, 5}}));
}

TEST(CandidateSpace, TakesALayerAway) {
  const CandidateSpace fixed{6, 2, 3, true}, any{6, 2, 3, false};
  EXPECT_THAT(fixed.shortened({{{2, 4, 5}}}), ElementsAre(Candidate{{2, 4}}, Candidate{{2, 5}}));
  EXPECT_THAT(any.shortened({{{2, 4, 5}}}),
              ElementsAre(Candidate{{2, 4}}, Candidate{{2, 5}}, Candidate{{4, 5}}));
  EXPECT_TRUE(any.shortened({{{3}}}).empty()) << "something must select";
}

TEST(CandidateSpace, LeavesSettingsAsTheyAre) {
  const CandidateSpace space{5, 2, 2, false};
  const Candidate candidate{{2, 3}, {{"recent", "4"}}};
  for (const auto& others : {space.extended({candidate}), space.moved({candidate}),
                             space.shortened({candidate}), space.all(2, candidate.settings)}) {
    ASSERT_FALSE(others.empty());
    for (const Candidate& other : others) EXPECT_EQ(other.settings, candidate.settings);
  }
}

TEST(Candidate, IsWrittenAsAPolicyTakesIt) {
  const Candidate candidate{{2, 14, 21}, {{"sinks", "2"}, {"map", "text-64"}}};
  EXPECT_EQ(candidate.layers(), "2+14+21");
  EXPECT_EQ(candidate.text(), "2+14+21 map=text-64 sinks=2");
}

}  // namespace
}  // namespace tide::testing
