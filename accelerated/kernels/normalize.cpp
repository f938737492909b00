// The root-mean-square norm over channels, alone or modulated and with SiLU, and the gradients of
// both.
//
//   u = x / max(||x||, 1e-12)      x (B, C, N), the norm over C
//   normalize:       out = sqrt(C) g u
//   normalize_silu:  out = silu(gain u + shift), gain = sqrt(C) g (scale + 1)
//
// g is (1, C, 1, 1); the modulation is (B or 1, 2 C), scale before shift. An image is worked on in
// runs of kTile pixels, which stay in the cache from one pass over the channels to the next.

#include <algorithm>
#include <cmath>

#include "exponential.h"

namespace {

constexpr int kTile = 256, kLanes = 16;

// 1 / max(||x||, 1e-12) of n pixels.
FOR_EVERY_CPU void inverse_norms(const float* x, int64_t channels, int64_t stride, int n,
                                 float* inverse) {
  std::fill(inverse, inverse + n, 0.0f);
  for (int64_t c = 0; c < channels; ++c)
    for (int i = 0; i < n; ++i) inverse[i] += x[c * stride + i] * x[c * stride + i];
  for (int i = 0; i < n; ++i)  // a NaN stays one
    inverse[i] = 1.0f / std::sqrt(inverse[i] < 1e-24f ? 1e-24f : inverse[i]);
}

// One channel of n pixels, forwards.
FOR_EVERY_CPU void scale_row(const float* __restrict x, const float* __restrict inverse,
                             float gain, int n, float* __restrict out) {
  for (int i = 0; i < n; ++i) out[i] = x[i] * inverse[i] * gain;
}

FOR_EVERY_CPU void silu_row(const float* __restrict x, const float* __restrict inverse, float gain,
                            float shift, int n, float* __restrict out) {
  for (int i = 0; i < n; ++i) {
    const float z = x[i] * inverse[i] * gain + shift;
    out[i] = z * sigmoid(z);
  }
}

// One channel backwards, up to u: dz, the sums of dz u and of dz over the pixels, and dL/du, which
// also adds to the product <u, dL/du> of every pixel.
struct Sums {
  float gain, shift;
};

INLINE Sums gradient_row(const float* __restrict x, const float* __restrict inverse,
                         const float* __restrict dz, float gain, int n, float* __restrict du,
                         float* __restrict product) {
  float by_gain[kLanes] = {}, by_shift[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float unit = x[i + j] * inverse[i + j], d = dz[i + j];
      by_gain[j] += d * unit;
      by_shift[j] += d;
      du[i + j] = d * gain;
      product[i + j] += unit * (d * gain);
    }
  for (; i < n; ++i) {
    const float unit = x[i] * inverse[i], d = dz[i];
    by_gain[0] += d * unit;
    by_shift[0] += d;
    du[i] = d * gain;
    product[i] += unit * (d * gain);
  }
  Sums sums{0.0f, 0.0f};
  for (int j = 0; j < kLanes; ++j) {
    sums.gain += by_gain[j];
    sums.shift += by_shift[j];
  }
  return sums;
}

FOR_EVERY_CPU Sums scale_row_gradient(const float* x, const float* inverse, const float* dout,
                                      float gain, int n, float* du, float* product) {
  return gradient_row(x, inverse, dout, gain, n, du, product);
}

FOR_EVERY_CPU Sums silu_row_gradient(const float* __restrict x, const float* __restrict inverse,
                                     const float* __restrict dout, float gain, float shift, int n,
                                     float* du, float* product) {
  float dz[kTile];
  for (int i = 0; i < n; ++i) {
    const float z = x[i] * inverse[i] * gain + shift, gate = sigmoid(z);
    dz[i] = dout[i] * (gate + z * gate * (1.0f - gate));
  }
  return gradient_row(x, inverse, dz, gain, n, du, product);
}

// dL/dx of one channel: (dL/du - u <u, dL/du>) / ||x||, in place of dL/du.
FOR_EVERY_CPU void project_row(const float* __restrict x, const float* __restrict inverse,
                               const float* __restrict product, int n, float* __restrict dx) {
  for (int i = 0; i < n; ++i)
    dx[i] = (dx[i] - x[i] * inverse[i] * product[i]) * inverse[i];
}

// x (B, C, N), g and the modulation, and how the work is cut into runs of pixels.
struct Images {
  int64_t batch, channels, pixels, runs;
  const float *x, *g, *modulation;  // the modulation is null without SiLU
  bool modulated_one_by_one;
  float root;

  Images(const Arguments& args, bool silu)
      : x(args.floats(0)), g(args.floats(1)), modulation(silu ? args.floats(2) : nullptr) {
    const auto shape = args.shape(0);
    batch = shape[0], channels = shape[1], pixels = shape[2];
    runs = (pixels + kTile - 1) / kTile;
    modulated_one_by_one = silu && args.shape(2)[0] > 1;
    root = std::sqrt(static_cast<float>(channels));
  }

  // Call work(image, first pixel, number of pixels, number of the run) for every run.
  template <class Work>
  void for_each_run(Work work) const {
    const int64_t all = batch * runs;
    auto& threads = library().threads_for(batch * channels * pixels * kWorkOfAnElement);
    const int parts = static_cast<int>(std::min<int64_t>(all, 4 * threads.get_num_threads()));
    threads.parallel_for(parts, [&](int part, int of) {
      for (int64_t run = all * part / of; run < all * (part + 1) / of; ++run) {
        const int64_t begin = run % runs * kTile;
        work(run / runs, begin, static_cast<int>(std::min<int64_t>(kTile, pixels - begin)), run);
      }
    });
  }

  int64_t at(int64_t image, int64_t channel) const { return (image * channels + channel) * pixels; }

  // Where the scale of a channel is in the modulation; its shift is so many channels further.
  int64_t scale_at(int64_t image, int64_t channel) const {
    return (modulated_one_by_one ? 2 * image * channels : 0) + channel;
  }
  float scale(int64_t image, int64_t channel) const {
    return modulation == nullptr ? 0.0f : modulation[scale_at(image, channel)];
  }
  float shift(int64_t image, int64_t channel) const {
    return modulation[scale_at(image, channel) + channels];
  }
  float gain(int64_t image, int64_t channel) const {
    return g[channel] * root * (scale(image, channel) + 1.0f);
  }
};

void forward(const Images& in, float* out) {
  in.for_each_run([&](int64_t image, int64_t begin, int n, int64_t) {
    float inverse[kTile];
    inverse_norms(in.x + in.at(image, 0) + begin, in.channels, in.pixels, n, inverse);
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t place = in.at(image, c) + begin;
      const float gain = in.gain(image, c);
      if (in.modulation != nullptr)
        silu_row(in.x + place, inverse, gain, in.shift(image, c), n, out + place);
      else
        scale_row(in.x + place, inverse, gain, n, out + place);
    }
  });
}

void backward(const Images& in, const float* dout, float* dx, float* dg, float* dmodulation) {
  // The sums of each run, added up in their order: the result does not depend on the threads.
  Scratch scratch(in.batch * in.runs * in.channels * sizeof(Sums));
  Sums* const sums = static_cast<Sums*>(scratch.data());
  in.for_each_run([&](int64_t image, int64_t begin, int n, int64_t run) {
    float inverse[kTile], product[kTile] = {};
    inverse_norms(in.x + in.at(image, 0) + begin, in.channels, in.pixels, n, inverse);
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t place = in.at(image, c) + begin;
      const float *x = in.x + place, *d = dout + place, gain = in.gain(image, c);
      sums[run * in.channels + c] =
          in.modulation != nullptr
              ? silu_row_gradient(x, inverse, d, gain, in.shift(image, c), n, dx + place, product)
              : scale_row_gradient(x, inverse, d, gain, n, dx + place, product);
    }
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t place = in.at(image, c) + begin;
      project_row(in.x + place, inverse, product, n, dx + place);
    }
  });
  std::fill(dg, dg + in.channels, 0.0f);
  if (dmodulation != nullptr)
    std::fill_n(dmodulation, (in.modulated_one_by_one ? in.batch : 1) * 2 * in.channels, 0.0f);
  for (int64_t run = 0; run < in.batch * in.runs; ++run)
    for (int64_t c = 0; c < in.channels; ++c) {
      const int64_t image = run / in.runs;
      const Sums sum = sums[run * in.channels + c];
      dg[c] += in.root * (in.scale(image, c) + 1.0f) * sum.gain;
      if (dmodulation == nullptr) continue;
      float* const dscale = dmodulation + in.scale_at(image, c);
      dscale[0] += in.root * in.g[c] * sum.gain;
      dscale[in.channels] += sum.shift;
    }
}

}  // namespace

// x, g -> out
DDPM_OPERATOR(normalize) { forward(Images(args, false), args.floats(2)); }

// x, g, dL/dout -> dL/dx, dL/dg
DDPM_OPERATOR(normalize_gradient) {
  backward(Images(args, false), args.floats(2), args.floats(3), args.floats(4), nullptr);
}

// x, g, modulation -> out
DDPM_OPERATOR(normalize_silu) { forward(Images(args, true), args.floats(3)); }

// x, g, modulation, dL/dout -> dL/dx, dL/dg, dL/dmodulation
DDPM_OPERATOR(normalize_silu_gradient) {
  backward(Images(args, true), args.floats(3), args.floats(4), args.floats(5), args.floats(6));
}
