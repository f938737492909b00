// Cuts a vector into pieces, which MindSpore's own operator does by one operator for each.

#include <cstring>

#include "library.h"

// vector -> its pieces, one after another
DDPM_OPERATOR(split) {
  const float* from = args.floats(0);
  for (int i = 1; i < args.count; ++i) {
    std::memcpy(args.floats(i), from, args.size(i) * sizeof(float));
    from += args.size(i);
  }
}
