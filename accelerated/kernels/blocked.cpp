#include "blocked.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr int kTile = 64;

INLINE float widened(Half half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

INLINE float widened(float x) { return x; }

INLINE void put(float x, Half* to) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t to_even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  *to = static_cast<Half>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : to_even);
}
INLINE void put(float x, float* to) { *to = x; }

// 16 rows of n pixels, which stand `stride` apart, to n pixels of 16 channels, and back.
INLINE void turn(const float* __restrict rows, int64_t stride, int n, float* __restrict pixels) {
  for (int l = 0; l < kBlock; ++l)
    for (int i = 0; i < n; ++i) pixels[i * kBlock + l] = rows[l * stride + i];
}

INLINE void turn_back(const float* __restrict pixels, int64_t stride, int n, bool adds,
                      float* __restrict rows) {
  for (int l = 0; l < kBlock; ++l)
    if (adds)
      for (int i = 0; i < n; ++i) rows[l * stride + i] += pixels[i * kBlock + l];
    else
      for (int i = 0; i < n; ++i) rows[l * stride + i] = pixels[i * kBlock + l];
}

template <class T>
INLINE void put_in_block(const float* rows, int64_t stride, int n, T* to) {
  float pixels[kTile * kBlock];
  turn(rows, stride, n, pixels);
  for (int i = 0; i < n * kBlock; ++i) put(pixels[i], to + i);
}

FOR_EVERY_CPU void put_turned(const float* pixels, int64_t stride, int n, bool adds, float* rows) {
  turn_back(pixels, stride, n, adds, rows);
}

FOR_EVERY_CPU void turned(const float* rows, int64_t stride, int n, float* pixels) {
  turn(rows, stride, n, pixels);
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

template <class T>
INLINE void modulate_block(const T* __restrict x, const float* __restrict inverse,
                           const float* __restrict gain, const float* __restrict shift, int n,
                           float* __restrict out) {
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < kBlock; ++l) {
      const float z = widened(x[i * kBlock + l]) * inverse[i] * gain[l] + shift[l];
      out[i * kBlock + l] = z * sigmoid(z);
    }
}

template <class T>
INLINE void put_block(const float* __restrict x, int n, T* __restrict out) {
  for (int i = 0; i < n * kBlock; ++i) put(x[i], out + i);
}

// dL/du of one block; adds to the sums of dz u and dz over the pixels, and to each pixel's <u, dL/du>.
template <class T>
INLINE void modulate_block_gradient(const T* __restrict x, const float* __restrict inverse,
                                    const float* __restrict gain, const float* __restrict shift,
                                    const float* __restrict dout, int n, float* __restrict du,
                                    float* __restrict product, float* __restrict by_gain,
                                    float* __restrict by_shift) {
  float gains[kBlock] = {}, shifts[kBlock] = {};
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < kBlock; ++l) {
      const int at = i * kBlock + l;
      const float unit = widened(x[at]) * inverse[i];
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
  FOR_EVERY_CPU void round_turned(const float* rows, int64_t stride, int n, T* to) {              \
    put_in_block(rows, stride, n, to);                                                            \
  }                                                                                               \
  FOR_EVERY_CPU void inverse_norms(const T* x, int64_t blocks, int64_t stride, int n,             \
                                   float* inverse) {                                              \
    invert_norms(x, blocks, stride, n, inverse);                                                  \
  }                                                                                               \
  FOR_EVERY_CPU void silu_block(const T* x, const float* inverse, const float* gain,              \
                                const float* shift, int n, float* out) {                          \
    modulate_block(x, inverse, gain, shift, n, out);                                              \
  }                                                                                               \
  FOR_EVERY_CPU void round_block(const float* x, int n, T* out) { put_block(x, n, out); }         \
  FOR_EVERY_CPU void silu_block_gradient(const T* x, const float* inverse, const float* gain,     \
                                         const float* shift, const float* dout, int n, float* du, \
                                         float* product, float* by_gain, float* by_shift) {       \
    modulate_block_gradient(x, inverse, gain, shift, dout, n, du, product, by_gain, by_shift);    \
  }                                                                                               \
  FOR_EVERY_CPU void project_block(const T* x, const float* inverse, const float* product,        \
                                   const float* du, int n, T* dx) {                               \
    project_out(x, inverse, product, du, n, dx);                                                  \
  }
FOR_NUMBERS(float)
FOR_NUMBERS(Half)

int64_t runs_of(int64_t pixels) { return (pixels + kTile - 1) / kTile; }

// Call work(image, first pixel, number of pixels, number of the run) for every run of kTile pixels.
template <class Work>
void for_each_run(Extent e, Work work) {
  const int64_t runs = runs_of(e.pixels), all = e.batch * runs;
  auto& threads = library().threads_for(e.size() * kWorkOfAnElement);
  const int parts = static_cast<int>(std::min<int64_t>(all, 4 * threads.get_num_threads()));
  threads.parallel_for(parts, [&](int part, int of) {
    for (int64_t run = all * part / of; run < all * (part + 1) / of; ++run) {
      const int64_t begin = run % runs * kTile;
      work(run / runs, begin, static_cast<int>(std::min<int64_t>(kTile, e.pixels - begin)), run);
    }
  });
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

}  // namespace

template <class T>
void to_blocks(const float* x, Extent from, int64_t channels, int64_t first, T* blocks) {
  for_each_run(from, [&](int64_t image, int64_t begin, int n, int64_t) {
    for (int64_t c = 0; c < from.channels; c += kBlock)
      round_turned(x + (image * from.channels + c) * from.pixels + begin, from.pixels, n,
                   blocks + (image * channels + first + c) * from.pixels + begin * kBlock);
  });
}

void from_blocks(const float* blocks, int64_t channels, int64_t first, Extent to, bool adds,
                 float* x) {
  for_each_run(to, [&](int64_t image, int64_t begin, int n, int64_t) {
    for (int64_t c = 0; c < to.channels; c += kBlock)
      put_turned(blocks + (image * channels + first + c) * to.pixels + begin * kBlock, to.pixels, n,
                 adds, x + (image * to.channels + c) * to.pixels + begin);
  });
}

namespace {

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

template void to_blocks(const float*, Extent, int64_t, int64_t, float*);
template void to_blocks(const float*, Extent, int64_t, int64_t, Half*);
template struct NormSilu<float>;
template struct NormSilu<Half>;
