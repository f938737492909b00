#include "blocked.h"

#include "lanes.h"

#ifdef DDPM_LANES

namespace {

template <class T>
AVX512 void turn(const float* rows, int64_t stride, int n, T* to) {
  for (int i = 0; i < n; i += kBlock) {
    Lanes pixels[kBlock];
    load_turned(rows + i, stride, first_of(n - i), pixels);
    for (int j = 0; j < kBlock && i + j < n; ++j) store(pixels[j], to + (i + j) * kBlock);
  }
}

AVX512 void put(const float* pixels, int64_t stride, int n, bool adds, float* rows) {
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

}  // namespace

void turned(const float* rows, int64_t stride, int n, float* to) { turn(rows, stride, n, to); }
void turned(const float* rows, int64_t stride, int n, Half* to) { turn(rows, stride, n, to); }

void put_turned(const float* pixels, int64_t stride, int n, bool adds, float* rows) {
  put(pixels, stride, n, adds, rows);
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

#endif
