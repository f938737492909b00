#include <cmath>

#include "blocked.h"
#include "exponential.h"
#include "halves.h"

namespace {

// n pixels of a block as floats: in `space`, unless they are such already.
INLINE const float* floats_of(const float* x, int, float*) { return x; }
INLINE const float* floats_of(const Half* __restrict x, int n, float* __restrict space) {
  for (int i = 0; i < n * kBlock; ++i) space[i] = widened(x[i]);
  return space;
}

// 1 / max(||x||, 1e-12) of n pixels, whose blocks stand `stride` apart.
template <class T>
INLINE void invert_norms(const T* x, int64_t blocks, int64_t stride, int n, float* inverse) {
  float squares[kTile * kBlock] = {};
  for (int64_t b = 0; b < blocks; ++b)
    for (int i = 0; i < n * kBlock; ++i) {
      const float v = widened(x[b * stride + i]);
      squares[i] += v * v;
    }
  for (int i = 0; i < n; ++i) {
    float sum = 0.0f;
    for (int l = 0; l < kBlock; ++l) sum += squares[i * kBlock + l];
    inverse[i] = 1.0f / std::sqrt(sum < 1e-24f ? 1e-24f : sum);  // a NaN stays one
  }
}

INLINE void modulate_block(const float* __restrict x, const float* __restrict inverse,
                           const float* __restrict gain, const float* __restrict shift, int n,
                           float* __restrict out) {
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < kBlock; ++l) {
      const float z = x[i * kBlock + l] * inverse[i] * gain[l] + shift[l];
      out[i * kBlock + l] = z * sigmoid(z);
    }
}

template <class T>
INLINE void put_block(const float* __restrict x, int n, T* __restrict out) {
  for (int i = 0; i < n * kBlock; ++i) put(x[i], out + i);
}

// dL/du of one block; adds to the sums of dz u and dz over the pixels, and to each pixel's <u, dL/du>.
INLINE void modulate_block_gradient(const float* __restrict x, const float* __restrict inverse,
                                    const float* __restrict gain, const float* __restrict shift,
                                    const float* __restrict dout, int n, float* __restrict du,
                                    float* __restrict product, float* __restrict by_gain,
                                    float* __restrict by_shift) {
  float gains[kBlock] = {}, shifts[kBlock] = {};
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < kBlock; ++l) {
      const int at = i * kBlock + l;
      const float unit = x[at] * inverse[i];
      const float z = unit * gain[l] + shift[l], gate = sigmoid(z);
      const float dz = dout[at] * (gate + z * gate * (1.0f - gate));
      gains[l] += dz * unit;
      shifts[l] += dz;
      du[at] = dz * gain[l];
      product[at] += unit * du[at];
    }
  std::copy_n(gains, kBlock, by_gain);
  std::copy_n(shifts, kBlock, by_shift);
}

template <class T>
INLINE void project_out(const T* __restrict x, const float* __restrict inverse,
                        const float* __restrict product, const float* __restrict du, int n,
                        T* __restrict dx) {
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < kBlock; ++l) {
      const int at = i * kBlock + l;
      put((du[at] - widened(x[at]) * inverse[i] * product[i]) * inverse[i], dx + at);
    }
}

// The same for both types, compiled for every processor.
#define FOR_NUMBERS(T)                                                                            \
  FOR_EVERY_CPU void inverse_norms(const T* x, int64_t blocks, int64_t stride, int n,             \
                                   float* inverse) {                                              \
    invert_norms(x, blocks, stride, n, inverse);                                                  \
  }                                                                                               \
  FOR_EVERY_CPU void silu_block(const T* x, const float* inverse, const float* gain,              \
                                const float* shift, int n, float* out) {                          \
    float space[kTile * kBlock];                                                                  \
    modulate_block(floats_of(x, n, space), inverse, gain, shift, n, out);                         \
  }                                                                                               \
  FOR_EVERY_CPU void round_block(const float* x, int n, T* out) { put_block(x, n, out); }         \
  FOR_EVERY_CPU void silu_block_gradient(const T* x, const float* inverse, const float* gain,     \
                                         const float* shift, const float* dout, int n, float* du, \
                                         float* product, float* by_gain, float* by_shift) {       \
    float space[kTile * kBlock];                                                                  \
    modulate_block_gradient(floats_of(x, n, space), inverse, gain, shift, dout, n, du, product,   \
                            by_gain, by_shift);                                                   \
  }                                                                                               \
  FOR_EVERY_CPU void project_block(const T* x, const float* inverse, const float* product,        \
                                   const float* du, int n, T* dx) {                               \
    project_out(x, inverse, product, du, n, dx);                                                  \
  }
FOR_NUMBERS(float)
FOR_NUMBERS(Half)

// Of a block of channels: gain and shift.
struct Modulated {
  float gain[kBlock], shift[kBlock];
  template <class T>
  Modulated(const NormSilu<T>& norm, int64_t image, int64_t first) {
    const int64_t channels = norm.extent.channels;
    const float root = std::sqrt(static_cast<float>(channels));
    const float* scale =
        norm.modulation == nullptr ? nullptr : norm.modulation + 2 * image * channels + first;
    for (int l = 0; l < kBlock; ++l) {
      gain[l] = norm.g[first + l] * root * (scale == nullptr ? 1.0f : scale[l] + 1.0f);
      shift[l] = scale == nullptr ? 0.0f : scale[channels + l];
    }
  }
};

// Call give(image, channel, first pixel, number of pixels, result of the block).
template <class T, class Give>
void normalize(const NormSilu<T>& norm, const T* x, Give give) {
  const Extent e = norm.extent;
  for_each_run(e, [&](int64_t image, int64_t begin, int n, int64_t) {
    float inverse[kTile], result[kTile * kBlock];
    const T* const from = x + image * e.channels * e.pixels + begin * kBlock;
    inverse_norms(from, e.channels / kBlock, e.pixels * kBlock, n, inverse);
    for (int64_t c = 0; c < e.channels; c += kBlock) {
      const Modulated m(norm, image, c);
      silu_block(from + c * e.pixels, inverse, m.gain, m.shift, n, result);
      give(image, c, begin, n, result);
    }
  });
}

}  // namespace

template <class T>
void NormSilu<T>::forward(const T* x, T* out) const {
  normalize(*this, x, [&](int64_t image, int64_t c, int64_t begin, int n, const float* result) {
    round_block(result, n, out + (image * extent.channels + c) * extent.pixels + begin * kBlock);
  });
}

template <class T>
void NormSilu<T>::forward_onto(const T* x, float* out) const {
  normalize(*this, x, [&](int64_t image, int64_t c, int64_t begin, int n, const float* result) {
    put_turned(result, extent.pixels, n, true,
               out + (image * extent.channels + c) * extent.pixels + begin);
  });
}

template <class T>
void NormSilu<T>::backward(const T* x, const float* dout, bool plain, T* dx, float* dg,
                           float* dmodulation) const {
  const Extent e = extent;
  const int64_t runs = runs_of(e.pixels);
  // The sums of each run, added up in their order: the result does not depend on the threads.
  const Scratch scratch(2 * e.batch * runs * e.channels * sizeof(float));
  float* const sums = static_cast<float*>(scratch.data());
  for_each_run(e, [&](int64_t image, int64_t begin, int n, int64_t run) {
    float inverse[kTile], product[kTile * kBlock] = {}, given[kTile * kBlock];
    const Scratch own(kTile * e.channels * sizeof(float));
    float* const du = static_cast<float*>(own.data());
    const int64_t place = image * e.channels * e.pixels + begin * kBlock;
    inverse_norms(x + place, e.channels / kBlock, e.pixels * kBlock, n, inverse);
    for (int64_t c = 0; c < e.channels; c += kBlock) {
      const Modulated m(*this, image, c);
      const float* d = dout + place + c * e.pixels;
      if (plain) {
        turned(dout + (image * e.channels + c) * e.pixels + begin, e.pixels, n, given);
        d = given;
      }
      float* const own_sums = sums + 2 * run * e.channels + c;
      silu_block_gradient(x + place + c * e.pixels, inverse, m.gain, m.shift, d, n, du + c * kTile,
                          product, own_sums, own_sums + e.channels);
    }
    for (int i = 0; i < n; ++i) {
      float sum = 0.0f;
      for (int l = 0; l < kBlock; ++l) sum += product[i * kBlock + l];
      product[i] = sum;
    }
    for (int64_t c = 0; c < e.channels; c += kBlock)
      project_block(x + place + c * e.pixels, inverse, product, du + c * kTile, n,
                    dx + place + c * e.pixels);
  });
  const float root = std::sqrt(static_cast<float>(e.channels));
  std::fill_n(dg, e.channels, 0.0f);
  if (dmodulation != nullptr) std::fill_n(dmodulation, 2 * e.batch * e.channels, 0.0f);
  for (int64_t run = 0; run < e.batch * runs; ++run) {
    const float* const by_gain = sums + 2 * run * e.channels;
    const int64_t at = 2 * (run / runs) * e.channels;
    for (int64_t c = 0; c < e.channels; ++c) {
      dg[c] += root * (modulation == nullptr ? 1.0f : modulation[at + c] + 1.0f) * by_gain[c];
      if (dmodulation == nullptr) continue;
      dmodulation[at + c] += root * g[c] * by_gain[c];
      dmodulation[at + e.channels + c] += by_gain[e.channels + c];
    }
  }
}

template struct NormSilu<float>;
template struct NormSilu<Half>;
