// value * gelu(gate), and its gradient (arXiv 2002.05202, eq. 6); GELU by its approximation
// gate sigmoid(u), u = gate (a + b gate^2), a = sqrt(8 / pi), b = 0.044715 a.

#include <algorithm>

#include "exponential.h"

namespace {

constexpr float kA = 1.5957691216f, kB = 0.0713548163f;

FOR_EVERY_CPU void forward(const float* __restrict x, int64_t n, float* __restrict out) {
  const float* gate = x + n;
  for (int64_t i = 0; i < n; ++i)
    out[i] = x[i] * (gate[i] * sigmoid(gate[i] * (kA + kB * gate[i] * gate[i])));
}

FOR_EVERY_CPU void backward(const float* __restrict x, const float* __restrict dout, int64_t n,
                            float* __restrict dx) {
  const float* gate = x + n;
  for (int64_t i = 0; i < n; ++i) {
    const float g = gate[i], square = kB * g * g, s = sigmoid(g * (kA + square));
    dx[i] = dout[i] * (g * s);
    dx[n + i] = dout[i] * x[i] * (s + g * s * (1.0f - s) * (kA + 3.0f * square));
  }
}

// Call work(row) for every row; x is (rows, 2 n).
template <class Work>
void for_each_row(int64_t rows, int64_t n, Work work) {
  auto& threads = library().threads_for(2 * rows * n * kWorkOfAnElement);
  const int parts = static_cast<int>(std::min<int64_t>(rows, 4 * threads.get_num_threads()));
  threads.parallel_for(parts, [&](int part, int of) {
    for (int64_t row = rows * part / of; row < rows * (part + 1) / of; ++row) work(row);
  });
}

}  // namespace

// x (R, 2 n), value before gate -> out (R, n)
DDPM_OPERATOR(geglu) {
  const int64_t n = args.shape(1)[1];
  for_each_row(args.shape(1)[0], n, [&](int64_t row) {
    forward(args.floats(0) + 2 * row * n, n, args.floats(1) + row * n);
  });
}

// x, dL/dout -> dL/dx
DDPM_OPERATOR(geglu_gradient) {
  const int64_t n = args.shape(1)[1];
  for_each_row(args.shape(1)[0], n, [&](int64_t row) {
    backward(args.floats(0) + 2 * row * n, args.floats(1) + row * n, n,
             args.floats(2) + 2 * row * n);
  });
}
