// Images in blocks of 16 channels, (B, C / 16, N, 16): what becomes of them between the convolutions of
// a residual block. T is what they consist of: floats, or halves that are rounded to bfloat16.
#pragma once

#include <algorithm>

#include "products.h"

constexpr int kBlock = 16;

struct Extent {
  int64_t batch, channels, pixels;
  int64_t size() const { return batch * channels * pixels; }
};

// A run of pixels, which one thread works on.
constexpr int kTile = 64;

inline int64_t runs_of(int64_t pixels) { return (pixels + kTile - 1) / kTile; }

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

// 16 rows of n pixels, which stand `stride` apart, as n pixels of 16 channels, rounded to T; and
// floats back, added to what stands in the rows or not.
void turned(const float* rows, int64_t stride, int n, float* pixels);
void turned(const float* rows, int64_t stride, int n, Half* pixels);
void put_turned(const float* pixels, int64_t stride, int n, bool adds, float* rows);

// Channels (B, from.channels, N) of plain images, as those from number `first` on of blocks of
// `channels` in all.
template <class T>
void to_blocks(const float* x, Extent from, int64_t channels, int64_t first, T* blocks);

// The opposite, for blocks of floats; adds to what stands there, or takes its place.
void from_blocks(const float* blocks, int64_t channels, int64_t first, Extent to, bool adds, float* x);

// silu(gain u + shift), u = x / max(||x||, 1e-12) over the channels of a pixel, gain = sqrt(C) g
// (scale + 1); scale and shift are the halves of the modulation (B, 2 C), or zeros where it is null.
template <class T>
struct NormSilu {
  Extent extent;
  const float *g, *modulation;
  void forward(const T* x, T* out) const;
  // Into plain images, to which it adds.
  void forward_onto(const T* x, float* out) const;
  // dL/dout in blocks, or plain -> dL/dx, dL/dg, dL/dmodulation (null where there is none).
  void backward(const T* x, const float* dout, bool plain, T* dx, float* dg,
                float* dmodulation) const;
};
