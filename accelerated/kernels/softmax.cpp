// The gradient of a softmax over the last axis: dL/dx = y (dL/dy - <y, dL/dy>).

#include <algorithm>

#include "library.h"

namespace {

constexpr int kLanes = 16;

FOR_EVERY_CPU void rows(const float* y, const float* dy, int64_t count, int64_t n, float* dx) {
  for (int64_t row = 0; row < count; ++row, y += n, dy += n, dx += n) {
    float lanes[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      for (int j = 0; j < kLanes; ++j) lanes[j] += y[i + j] * dy[i + j];
    for (; i < n; ++i) lanes[0] += y[i] * dy[i];
    float product = 0.0f;
    for (int j = 0; j < kLanes; ++j) product += lanes[j];
    for (i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - product);
  }
}

}  // namespace

// y, dL/dy -> dL/dx
DDPM_OPERATOR(softmax_gradient) {
  const auto shape = args.shape(0);
  const int64_t n = shape.back();
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  auto& threads = library().threads_for(count * n * kWorkOfAnElement);
  const int parts = static_cast<int>(std::min<int64_t>(count, 4 * threads.get_num_threads()));
  threads.parallel_for(parts, [&](int part, int of) {
    const int64_t begin = count * part / of, end = count * (part + 1) / of;
    rows(args.floats(0) + begin * n, args.floats(1) + begin * n, end - begin, n,
         args.floats(2) + begin * n);
  });
}
