#include "blocked.h"

#include "halves.h"
#include "lanes.h"

namespace {

INLINE void turn(const float* __restrict rows, int64_t stride, int n, float* __restrict pixels) {
  for (int l = 0; l < kBlock; ++l)
    for (int i = 0; i < n; ++i) pixels[i * kBlock + l] = rows[l * stride + i];
}

FOR_EVERY_CPU void turned_anywhere(const float* rows, int64_t stride, int n, float* to) {
  turn(rows, stride, n, to);
}

FOR_EVERY_CPU void turned_anywhere(const float* rows, int64_t stride, int n, Half* to) {
  float pixels[kTile * kBlock];
  turn(rows, stride, n, pixels);
  for (int i = 0; i < n * kBlock; ++i) put(pixels[i], to + i);
}

FOR_EVERY_CPU void put_turned_anywhere(const float* __restrict pixels, int64_t stride, int n, bool adds,
                                       float* __restrict rows) {
  for (int l = 0; l < kBlock; ++l)
    if (adds)
      for (int i = 0; i < n; ++i) rows[l * stride + i] += pixels[i * kBlock + l];
    else
      for (int i = 0; i < n; ++i) rows[l * stride + i] = pixels[i * kBlock + l];
}

// The same, sixteen pixels at a time where the processor can.
#ifdef DDPM_LANES
template <class T>
AVX512 void turned_by_lanes(const float* rows, int64_t stride, int n, T* to) {
  for (int i = 0; i < n; i += kBlock) {
    Lanes pixels[kBlock];
    load_turned(rows + i, stride, first_of(n - i), pixels);
    for (int j = 0; j < kBlock && i + j < n; ++j) store(pixels[j], to + (i + j) * kBlock);
  }
}

AVX512 void put_turned_by_lanes(const float* pixels, int64_t stride, int n, bool adds, float* rows) {
  for (int i = 0; i < n; i += kBlock) {
    const __mmask16 there = first_of(n - i);
    Lanes columns[kBlock];
    for (int j = 0; j < kBlock; ++j)
      columns[j] = load(pixels + (i + j) * kBlock, i + j < n ? kAll : 0);
    transpose(columns);
    for (int l = 0; l < kBlock; ++l) {
      float* const to = rows + l * stride + i;
      store(adds ? load(to, there) + columns[l] : columns[l], to, there);
    }
  }
}
#else
constexpr auto put_turned_by_lanes = put_turned_anywhere;
template <class T>
void turned_by_lanes(const float* rows, int64_t stride, int n, T* to) {
  turned_anywhere(rows, stride, n, to);
}
#endif

template <class T>
void turn_rows(const float* rows, int64_t stride, int n, T* to) {
  library().has_lanes ? turned_by_lanes(rows, stride, n, to) : turned_anywhere(rows, stride, n, to);
}

}  // namespace

void turned(const float* rows, int64_t stride, int n, float* to) { turn_rows(rows, stride, n, to); }
void turned(const float* rows, int64_t stride, int n, Half* to) { turn_rows(rows, stride, n, to); }

void put_turned(const float* pixels, int64_t stride, int n, bool adds, float* rows) {
  library().has_lanes ? put_turned_by_lanes(pixels, stride, n, adds, rows)
                      : put_turned_anywhere(pixels, stride, n, adds, rows);
}

template <class T>
void to_blocks(const float* x, Extent from, int64_t channels, int64_t first, T* blocks) {
  for_each_run(from, [&](int64_t image, int64_t begin, int n, int64_t) {
    for (int64_t c = 0; c < from.channels; c += kBlock)
      turned(x + (image * from.channels + c) * from.pixels + begin, from.pixels, n,
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

template void to_blocks(const float*, Extent, int64_t, int64_t, float*);
template void to_blocks(const float*, Extent, int64_t, int64_t, Half*);
