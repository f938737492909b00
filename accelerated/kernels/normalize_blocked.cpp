#include "blocked.h"

#include <cmath>

#include "exponential_lanes.h"

#ifdef DDPM_LANES

namespace {

// 1 / max(||x||, 1e-12) of n pixels, whose blocks stand `stride` apart.
template <class T>
AVX512 void inverse_norms(const T* x, int64_t blocks, int64_t stride, int n, float* inverse) {
  constexpr int at_once = 8;
  for (int i = 0; i < n; i += at_once) {
    Lanes squares[at_once];
    for (Lanes& each : squares) each = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; ++b)
      for (int j = 0; j < at_once; ++j) {
        const Lanes v = load(x + b * stride + (i + j) * kBlock, i + j < n ? kAll : 0);
        squares[j] = _mm512_fmadd_ps(v, v, squares[j]);
      }
    for (int j = 0; j < at_once && i + j < n; ++j) {
      const float sum = _mm512_reduce_add_ps(squares[j]);
      inverse[i + j] = 1.0f / std::sqrt(sum < 1e-24f ? 1e-24f : sum);  // a NaN stays one
    }
  }
}

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

template <class T, class R>
AVX512 void silu_block(const T* x, const float* inverse, const Modulated& m, int n, R* out) {
  const Lanes gain = load(m.gain), shift = load(m.shift);
  for (int i = 0; i < n; ++i) {
    const Lanes unit = load(x + i * kBlock) * all_of(inverse[i]);
    const Lanes z = _mm512_fmadd_ps(unit, gain, shift);
    store(z * sigmoid(z), out + i * kBlock);
  }
}

// dL/du of one block; the sums of dz u and dz over the pixels; adds to each pixel's <u, dL/du>.
template <class T>
AVX512 void silu_block_gradient(const T* x, const float* inverse, const Modulated& m,
                                const float* dout, int n, float* du, float* product,
                                float* by_gain, float* by_shift) {
  const Lanes gain = load(m.gain), shift = load(m.shift), one = all_of(1.0f);
  Lanes gains = _mm512_setzero_ps(), shifts = gains;
  for (int i = 0; i < n; ++i) {
    const int at = i * kBlock;
    const Lanes unit = load(x + at) * all_of(inverse[i]);
    const Lanes z = _mm512_fmadd_ps(unit, gain, shift), gate = sigmoid(z);
    const Lanes dz = load(dout + at) * _mm512_fmadd_ps(z * gate, one - gate, gate);
    gains = _mm512_fmadd_ps(dz, unit, gains);
    shifts += dz;
    store(dz * gain, du + at);
    store(_mm512_fmadd_ps(unit, dz * gain, load(product + at)), product + at);
  }
  store(gains, by_gain);
  store(shifts, by_shift);
}

// Each pixel's <u, dL/du>, from what its lanes have of it.
AVX512 void add_up(const float* product, int n, float* sums) {
  for (int i = 0; i < n; ++i) sums[i] = _mm512_reduce_add_ps(load(product + i * kBlock));
}

template <class T>
AVX512 void project_block(const T* x, const float* inverse, const float* product, const float* du,
                          int n, T* dx) {
  for (int i = 0; i < n; ++i) {
    const int at = i * kBlock;
    const Lanes along = load(x + at) * all_of(inverse[i] * product[i]);
    store((load(du + at) - along) * all_of(inverse[i]), dx + at);
  }
}

// Call give(where the block is, 1 / norms, what modulates it, image, channel, first pixel, number of
// pixels) for every block of a run.
template <class T, class Give>
void normalize(const NormSilu<T>& norm, const T* x, Give give) {
  const Extent e = norm.extent;
  for_each_run(e, [&](int64_t image, int64_t begin, int n, int64_t) {
    float inverse[kTile];
    const T* const from = x + image * e.channels * e.pixels + begin * kBlock;
    inverse_norms(from, e.channels / kBlock, e.pixels * kBlock, n, inverse);
    for (int64_t c = 0; c < e.channels; c += kBlock)
      give(from + c * e.pixels, inverse, Modulated(norm, image, c), image, c, begin, n);
  });
}

}  // namespace

template <class T>
void NormSilu<T>::forward(const T* x, T* out) const {
  normalize(*this, x, [&](const T* from, const float* inverse, const Modulated& m, int64_t image,
                          int64_t c, int64_t begin, int n) {
    silu_block(from, inverse, m, n,
               out + (image * extent.channels + c) * extent.pixels + begin * kBlock);
  });
}

template <class T>
void NormSilu<T>::forward_onto(const T* x, float* out) const {
  normalize(*this, x, [&](const T* from, const float* inverse, const Modulated& m, int64_t image,
                          int64_t c, int64_t begin, int n) {
    float result[kTile * kBlock];
    silu_block(from, inverse, m, n, result);
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
    float inverse[kTile], product[kTile * kBlock] = {}, given[kTile * kBlock], sums_of[kTile];
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
      silu_block_gradient(x + place + c * e.pixels, inverse, m, d, n, du + c * kTile, product,
                          own_sums, own_sums + e.channels);
    }
    add_up(product, n, sums_of);
    for (int64_t c = 0; c < e.channels; c += kBlock)
      project_block(x + place + c * e.pixels, inverse, sums_of, du + c * kTile, n,
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

#endif
