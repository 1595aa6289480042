#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace tide {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "tidegauge: defect: %s does not hold at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace tide
