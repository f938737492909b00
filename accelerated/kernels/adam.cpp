// One update of all parameters: the gradient's norm, clipping, Adam, weight decay and averages.
//
// Two passes, the first for the norm. The second reads and writes each number once, and leaves what
// does not move alone: averages between their updates, and everything where the norm or the loss is
// not finite. Sums are taken in an order that does not depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <vector>

#include "library.h"

namespace {

constexpr int kLanes = 16;
constexpr int64_t kChunk = 8192;  // numbers, of which four arrays stay in a core's own cache

// Constants of a training, in the order in which they are passed.
enum { kBeta1, kBeta2, kMaxNorm, kAverages };

// A run of numbers of one parameter, and where it begins in the vectors of all.
struct Chunk {
  const float* gradient;
  float* parameter;
  int64_t offset, size;
  bool decays;
};

struct Rates {
  float shorten, lr, eps, keep, beta_1, beta_2;
};

FOR_EVERY_CPU double sum_of_squares(const float* x, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * x[i + j];
  for (; i < n; ++i) lanes[0] += x[i] * x[i];
  double sum = 0.0;
  for (int j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

// m <- beta_1 m + (1 - beta_1) g and so on; the corrections of the bias are in lr and eps.
FOR_EVERY_CPU void move(const float* __restrict gradient, int64_t n, Rates r, float* __restrict p,
                        float* __restrict m, float* __restrict v) {
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * r.shorten;
    m[i] += (g - m[i]) * (1.0f - r.beta_1);
    v[i] += (g * g - v[i]) * (1.0f - r.beta_2);
    p[i] = p[i] * r.keep - r.lr * m[i] / (std::sqrt(v[i]) + r.eps);
  }
}

FOR_EVERY_CPU void average(const float* __restrict p, int64_t n, float share,
                           float* __restrict kept) {
  for (int64_t i = 0; i < n; ++i) kept[i] += (p[i] - kept[i]) * share;
}

// Gradients are one vector, or an array for each parameter.
std::vector<Chunk> cut(const Arguments& args, int gradients, int parameters, int first_gradient,
                       const float* decays) {
  std::vector<Chunk> chunks;
  int64_t offset = 0;
  for (int i = 0; i < parameters; ++i) {
    const int at = first_gradient + gradients + i;
    const int64_t size = args.size(at);
    const float* gradient = gradients == parameters ? args.floats(first_gradient + i)
                                                    : args.floats(first_gradient) + offset;
    for (int64_t begin = 0; begin < size; begin += kChunk)
      chunks.push_back({gradient + begin, args.floats(at) + begin, offset + begin,
                        std::min(kChunk, size - begin), decays[i] != 0.0f});
    offset += size;
  }
  return chunks;
}

}  // namespace

// constants, which parameters decay, loss, lr, eps, decay, the averages' shares, gradients,
// parameters, m, v, averages -> the norm before clipping. Parameters, m, v and averages change.
DDPM_OPERATOR(adam) {
  const float* constants = args.floats(0);
  const int parameters = static_cast<int>(args.size(1));
  const int averages = static_cast<int>(constants[kAverages]);
  const float *decays = args.floats(1), loss = *args.floats(2), lr = *args.floats(3);
  const float eps = *args.floats(4), decay = *args.floats(5);
  const int shares = 6, first_gradient = shares + averages;
  const int kept = args.count - 1 - averages, moments = kept - 2;
  const int gradients = moments - parameters - first_gradient;
  if (gradients != 1 && gradients != parameters)
    throw std::invalid_argument("a gradient is neither one vector nor an array for each parameter");

  const auto chunks = cut(args, gradients, parameters, first_gradient, decays);
  const int64_t count = chunks.empty() ? 0 : chunks.back().offset + chunks.back().size;
  auto& threads = library().threads_for(count * kWorkOfAnElement);
  const int n = static_cast<int>(chunks.size());

  std::vector<double> squares(chunks.size());
  threads.parallel_for(n, [&](int i, int) {
    squares[i] = sum_of_squares(chunks[i].gradient, chunks[i].size);
  });
  double sum = 0.0;
  for (double square : squares) sum += square;
  const float norm = static_cast<float>(std::sqrt(sum));
  *args.floats(args.count - 1) = norm;
  if (!std::isfinite(norm + loss)) return;

  const float shorten = std::min(constants[kMaxNorm] / (norm + 1e-6f), 1.0f);
  threads.parallel_for(n, [&](int i, int) {
    const Chunk& c = chunks[i];
    const Rates rates{shorten, lr, eps, c.decays ? 1.0f - decay : 1.0f, constants[kBeta1],
                      constants[kBeta2]};
    move(c.gradient, c.size, rates, c.parameter, args.floats(moments) + c.offset,
         args.floats(moments + 1) + c.offset);
    for (int k = 0; k < averages; ++k) {
      const float share = *args.floats(shares + k);
      if (share != 0.0f)
        average(c.parameter, c.size, share, args.floats(kept + k) + c.offset);
    }
  });
}
