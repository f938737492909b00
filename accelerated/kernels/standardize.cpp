// The norm over the pixels of groups of channels, and its gradients.
//
//   u = (x - mean) / sqrt(variance + eps)      x (B, C, N), over the C / G channels of a group
//   standardize:       out = gamma u + beta          gamma and beta (C,)
//   standardize_silu:  out = silu(gamma u + beta)
//
// A layer norm of tokens is the same with one pixel and one group. A group is contiguous; what is
// the same for all its pixels (gamma, beta, their gradients) goes by the channel, or, where there
// is one pixel, by the number.

#include <algorithm>
#include <cmath>

#include "exponential.h"

namespace {

constexpr int kLanes = 16;
constexpr int64_t kBlock = 4096;  // so many numbers are added up in float, the sums of blocks in double
constexpr int64_t kTokens = 64;   // tokens that share their sums for gamma and beta

INLINE float total(const float* lanes) {
  float sum = 0.0f;
  for (int j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

FOR_EVERY_CPU float block_sum(const float* x, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  for (; i < n; ++i) lanes[0] += x[i];
  return total(lanes);
}

FOR_EVERY_CPU float block_squares(const float* x, float mean, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += (x[i + j] - mean) * (x[i + j] - mean);
  for (; i < n; ++i) lanes[0] += (x[i] - mean) * (x[i] - mean);
  return total(lanes);
}

struct Moments {
  float mean, inverse;
};

Moments moments(const float* x, int64_t n, float eps) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < n; i += kBlock) sum += block_sum(x + i, std::min(kBlock, n - i));
  const float mean = static_cast<float>(sum / static_cast<double>(n));
  for (int64_t i = 0; i < n; i += kBlock)
    squares += block_squares(x + i, mean, std::min(kBlock, n - i));
  const double variance = squares / static_cast<double>(n);
  return {mean, static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(eps)))};
}

// One channel of n pixels, forwards.
FOR_EVERY_CPU void scale_row(const float* __restrict x, Moments m, float gamma, float beta,
                             int64_t n, float* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - m.mean) * m.inverse * gamma + beta;
}

FOR_EVERY_CPU void silu_row(const float* __restrict x, Moments m, float gamma, float beta,
                            int64_t n, float* __restrict out) {
  for (int64_t i = 0; i < n; ++i) {
    const float z = (x[i] - m.mean) * m.inverse * gamma + beta;
    out[i] = z * sigmoid(z);
  }
}

// dL/dz of one channel for out = silu(z).
FOR_EVERY_CPU void silu_row_gradient(const float* __restrict x, Moments m, float gamma,
                                     float beta, const float* __restrict dout, int64_t n,
                                     float* __restrict dz) {
  for (int64_t i = 0; i < n; ++i) {
    const float z = (x[i] - m.mean) * m.inverse * gamma + beta, gate = sigmoid(z);
    dz[i] = dout[i] * (gate + z * gate * (1.0f - gate));
  }
}

// n channels of one pixel, forwards.
FOR_EVERY_CPU void scale_each(const float* __restrict x, Moments m, const float* __restrict gamma,
                              const float* __restrict beta, int64_t n, float* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - m.mean) * m.inverse * gamma[i] + beta[i];
}

// Sums over numbers: of dL/dout u and of dL/dout, or of both times gamma.
struct Sums {
  float unit, plain;
};

FOR_EVERY_CPU Sums row_sums(const float* x, Moments m, const float* dout, int64_t n) {
  float unit[kLanes] = {}, plain[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      unit[j] += dout[i + j] * ((x[i + j] - m.mean) * m.inverse);
      plain[j] += dout[i + j];
    }
  for (; i < n; ++i) {
    unit[0] += dout[i] * ((x[i] - m.mean) * m.inverse);
    plain[0] += dout[i];
  }
  return {total(unit), total(plain)};
}

// Adds dL/dout u and dL/dout to what n channels have of them; the sums of both times gamma.
FOR_EVERY_CPU Sums each_sums(const float* __restrict x, Moments m, const float* __restrict dout,
                             const float* __restrict gamma, int64_t n, float* __restrict dgamma,
                             float* __restrict dbeta) {
  float unit[kLanes] = {}, plain[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float by_gamma = dout[i + j] * ((x[i + j] - m.mean) * m.inverse);
      dgamma[i + j] += by_gamma;
      dbeta[i + j] += dout[i + j];
      unit[j] += by_gamma * gamma[i + j];
      plain[j] += dout[i + j] * gamma[i + j];
    }
  for (; i < n; ++i) {
    const float by_gamma = dout[i] * ((x[i] - m.mean) * m.inverse);
    dgamma[i] += by_gamma;
    dbeta[i] += dout[i];
    unit[0] += by_gamma * gamma[i];
    plain[0] += dout[i] * gamma[i];
  }
  return {total(unit), total(plain)};
}

// dL/dx = (dL/du - mean(dL/du) - u mean(u dL/du)) / sqrt(variance + eps), whose means are given.
// It may stand in place of dL/dout.
FOR_EVERY_CPU void project_row(const float* __restrict x, Moments m, const float* dout,
                               float gamma, Sums means, int64_t n, float* dx) {
  for (int64_t i = 0; i < n; ++i)
    dx[i] = (dout[i] * gamma - means.plain - (x[i] - m.mean) * m.inverse * means.unit) * m.inverse;
}

FOR_EVERY_CPU void project_each(const float* __restrict x, Moments m, const float* dout,
                                const float* __restrict gamma, Sums means, int64_t n, float* dx) {
  for (int64_t i = 0; i < n; ++i)
    dx[i] =
        (dout[i] * gamma[i] - means.plain - (x[i] - m.mean) * m.inverse * means.unit) * m.inverse;
}

// x (B, C, N), gamma and beta (C,), and the number of groups and eps (2,).
struct Groups {
  int64_t batch, channels, pixels, groups, width, size;
  float eps;
  const float *x, *gamma;

  Groups(const Arguments& args, int settings) : x(args.floats(0)), gamma(args.floats(1)) {
    const auto shape = args.shape(0);
    batch = shape[0], channels = shape[1], pixels = shape[2];
    groups = static_cast<int64_t>(args.floats(settings)[0]);
    eps = args.floats(settings)[1];
    width = channels / groups;
    size = width * pixels;
  }

  // Call work(number, from, to) for runs of `each` of all groups of all images.
  template <class Work>
  void for_each_run(int64_t each, Work work) const {
    const int64_t all = batch * groups, runs = (all + each - 1) / each;
    auto& threads = library().threads_for(batch * channels * pixels * kWorkOfAnElement);
    const int parts = static_cast<int>(std::min<int64_t>(runs, 4 * threads.get_num_threads()));
    threads.parallel_for(parts, [&](int part, int of) {
      for (int64_t run = runs * part / of; run < runs * (part + 1) / of; ++run)
        work(run, run * each, std::min(all, (run + 1) * each));
    });
  }
};

void forward(const Groups& in, const float* beta, float* out, bool silu) {
  in.for_each_run(in.pixels == 1 ? kTokens : 1, [&](int64_t, int64_t from, int64_t to) {
    for (int64_t group = from; group < to; ++group) {
      const int64_t first = group % in.groups * in.width;
      const float* x = in.x + group * in.size;
      float* const y = out + group * in.size;
      const Moments m = moments(x, in.size, in.eps);
      if (in.pixels == 1 && !silu) {
        scale_each(x, m, in.gamma + first, beta + first, in.width, y);
        continue;
      }
      for (int64_t c = 0; c < in.width; ++c)
        (silu ? silu_row : scale_row)(x + c * in.pixels, m, in.gamma[first + c], beta[first + c],
                                      in.pixels, y + c * in.pixels);
    }
  });
}

// `beta` where a SiLU follows, else null.
void backward(const Groups& in, const float* beta, const float* dout, float* dx, float* dgamma,
              float* dbeta) {
  // The sums of each run, added up in their order: the result does not depend on the threads. With
  // one pixel a run is of whole tokens, else of one group.
  const int64_t each = in.pixels == 1 ? kTokens * in.groups : 1;
  const int64_t row = in.pixels == 1 ? in.channels : in.width;
  const int64_t runs = (in.batch * in.groups + each - 1) / each;
  Scratch scratch(2 * runs * row * sizeof(float));
  float* const sums = static_cast<float*>(scratch.data());
  in.for_each_run(each, [&](int64_t run, int64_t from, int64_t to) {
    float *const by_gamma = sums + 2 * run * row, *const by_beta = by_gamma + row;
    std::fill(by_gamma, by_gamma + 2 * row, 0.0f);
    for (int64_t group = from; group < to; ++group) {
      const int64_t first = group % in.groups * in.width, place = group * in.size;
      const float *x = in.x + place, *d = dout + place, *gamma = in.gamma + first;
      const Moments m = moments(x, in.size, in.eps);
      const float share = 1.0f / static_cast<float>(in.size);
      if (beta != nullptr) {
        for (int64_t c = 0; c < in.width; ++c) {
          const int64_t at = c * in.pixels;
          silu_row_gradient(x + at, m, gamma[c], beta[first + c], d + at, in.pixels,
                            dx + place + at);
        }
        d = dx + place;
      }
      if (in.pixels == 1) {
        const Sums s = each_sums(x, m, d, gamma, in.width, by_gamma + first, by_beta + first);
        project_each(x, m, d, gamma, {s.unit * share, s.plain * share}, in.width, dx + place);
        continue;
      }
      double unit = 0.0, plain = 0.0;
      for (int64_t c = 0; c < in.width; ++c) {
        double own_unit = 0.0, own_plain = 0.0;
        for (int64_t i = 0; i < in.pixels; i += kBlock) {
          const int64_t at = c * in.pixels + i;
          const Sums s = row_sums(x + at, m, d + at, std::min(kBlock, in.pixels - i));
          own_unit += s.unit;
          own_plain += s.plain;
        }
        by_gamma[c] = static_cast<float>(own_unit);
        by_beta[c] = static_cast<float>(own_plain);
        unit += own_unit * gamma[c];
        plain += own_plain * gamma[c];
      }
      const Sums means{static_cast<float>(unit) * share, static_cast<float>(plain) * share};
      for (int64_t c = 0; c < in.width; ++c)
        project_row(x + c * in.pixels, m, d + c * in.pixels, gamma[c], means, in.pixels,
                    dx + place + c * in.pixels);
    }
  });
  std::fill(dgamma, dgamma + in.channels, 0.0f);
  std::fill(dbeta, dbeta + in.channels, 0.0f);
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t first = in.pixels == 1 ? 0 : run % in.groups * in.width;
    for (int64_t c = 0; c < row; ++c) {
      dgamma[first + c] += sums[2 * run * row + c];
      dbeta[first + c] += sums[(2 * run + 1) * row + c];
    }
  }
}

}  // namespace

// x, gamma, beta, settings -> out
DDPM_OPERATOR(standardize) { forward(Groups(args, 3), args.floats(2), args.floats(4), false); }
DDPM_OPERATOR(standardize_silu) { forward(Groups(args, 3), args.floats(2), args.floats(4), true); }

// x, gamma, settings, dL/dout -> dL/dx, dL/dgamma, dL/dbeta
DDPM_OPERATOR(standardize_gradient) {
  backward(Groups(args, 2), nullptr, args.floats(3), args.floats(4), args.floats(5),
           args.floats(6));
}

// x, gamma, beta, settings, dL/dout -> dL/dx, dL/dgamma, dL/dbeta
DDPM_OPERATOR(standardize_silu_gradient) {
  backward(Groups(args, 3), args.floats(2), args.floats(4), args.floats(5), args.floats(6),
           args.floats(7));
}
