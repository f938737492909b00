#include "pointwise.h"

#include "lanes.h"

#ifdef DDPM_LANES

#include "lane_products.h"

namespace {

constexpr int64_t kPanel = 4 * kBlock;  // pixels that are multiplied at a time
constexpr int64_t kRun = 128;           // pixels that gradients by weights are summed over at a time

// Rows of `width` pixels, which stand `stride` apart, to be summed over: (width / 16, rows, 16).
template <class T>
AVX512 void pack_rows(const float* x, int64_t rows, int64_t stride, int64_t width, T* to) {
  for (int64_t j = 0; j < width; j += kBlock, to += rows * kBlock)
    for (int64_t k = 0; k < rows; ++k) DownRows::put(load(x + k * stride + j), k, to);
}

// The same of what is turned: pixels are summed over, (rows / 16, width, 16).
template <class T>
AVX512 void pack_columns(const float* x, int64_t rows, int64_t stride, int64_t width, T* to) {
  for (int64_t i = 0; i < rows; i += kBlock, to += width * kBlock)
    for (int64_t k = 0; k < width; k += kBlock) {
      Lanes pixels[kBlock];
      load_turned(x + i * stride + k, stride, kAll, pixels);
      for (int j = 0; j < kBlock; ++j) DownRows::put(pixels[j], k + j, to);
    }
}

// The left factor w (outer, inner), or its transpose where w is (inner, outer).
template <class T>
struct Weights {
  const T* numbers;
  bool turned;
  int64_t outer, inner;
  Left left() const {
    if (turned) return {words_of(numbers), 1, outer, 1, 0, words<T>(inner)};
    return {words_of(numbers), words<T>(inner), 1, 1, 0, words<T>(inner)};
  }
};

// Floats are factors as they are.
Weights<float> weights_of(const float* w, bool turned, int64_t outer, int64_t inner, float*) {
  return {w, turned, outer, inner};
}
Weights<Half> weights_of(const float* w, bool turned, int64_t outer, int64_t inner, Half* space) {
  if (!turned) return {factors(w, outer * inner, space), false, outer, inner};
  const int64_t pair = 2 * outer;  // two rows of w, whose numbers alternate
  for (int64_t k = 0; k < inner; ++k) {
    const Half* const row = factors(w + k * outer, outer, space + inner * outer);
    for (int64_t i = 0; i < outer; ++i) space[k / 2 * pair + 2 * i + k % 2] = row[i];
  }
  return {space, true, outer, inner};
}

template <class T>
AVX512 void multiply_panel(const Weights<T>& w, const T* panel, int64_t width, const float* bias,
                           float* y, int64_t pixels) {
  multiply_all<T, 4, 4>(w.left(), w.outer, width, words_of(panel), words<T>(w.inner * kBlock),
                  {y, pixels, kBlock}, false, bias);
}

// y (B, outer, N) = w x + bias
template <class T>
void product_of(const float* weight, bool turned, int64_t outer, int64_t inner, const float* x,
                const float* bias, int64_t batch, int64_t pixels, float* y) {
  const Scratch space((inner + 1) * outer * sizeof(T));
  const auto w = weights_of(weight, turned, outer, inner, static_cast<T*>(space.data()));
  const int64_t panels = (pixels + kPanel - 1) / kPanel;
  for_each_item(batch * panels, 2 * kPanel * inner * outer, [&](int64_t item) {
    const int64_t image = item / panels, at = item % panels * kPanel;
    const int64_t width = std::min(kPanel, pixels - at);
    const Scratch own(inner * kPanel * sizeof(T));
    T* const panel = static_cast<T*>(own.data());
    pack_rows(x + image * inner * pixels + at, inner, pixels, width, panel);
    multiply_panel(w, panel, width, bias, y + image * outer * pixels + at, pixels);
  });
}

// Rows of floats as left factors: as they are, or rounded.
struct Rows {
  const uint32_t* words;
  int64_t row;
};
Rows rows_of(const float* y, int64_t, int64_t stride, int64_t, float*) { return {words_of(y), stride}; }
Rows rows_of(const float* y, int64_t rows, int64_t stride, int64_t width, Half* space) {
  for (int64_t i = 0; i < rows; ++i) factors(y + i * stride, width, space + i * width);
  return {words_of(space), width / 2};
}

// dw (inner / 16, outer, 16) += dy x^T, dbias += dy over `width` pixels.
template <class T>
AVX512 void add_gradient(const Rows& dy, const float* given, const T* x, int64_t outer, int64_t inner,
                         int64_t pixels, int64_t width, bool adds, float* dw, float* dbias) {
  multiply_all<T, 8, 2>({dy.words, dy.row, 1, 1, 0, words<T>(width)}, outer, inner, words_of(x),
                  words<T>(width * kBlock), {dw, kBlock, outer * kBlock}, adds);
  for (int64_t i = 0; i < outer; ++i) {
    Lanes sum = _mm512_setzero_ps();
    for (int64_t n = 0; n < width; n += kBlock) sum += load(given + i * pixels + n);
    dbias[i] = (adds ? dbias[i] : 0.0f) + _mm512_reduce_add_ps(sum);
  }
}

template <class T>
void weight_gradient(int64_t outer, int64_t inner, int64_t batch, int64_t pixels, const float* x,
                     const float* dy, float* dw, float* dbias) {
  const int64_t runs = (pixels + kRun - 1) / kRun, all = batch * runs, part = outer * (inner + 1);
  auto& threads = library().threads_for(2 * batch * pixels * outer * inner);
  const int64_t parts = std::min<int64_t>(all, threads.get_num_threads());
  const Scratch sums(parts * part * sizeof(float));
  float* const partial = static_cast<float*>(sums.data());
  threads.parallel_for(static_cast<int>(parts), [&](int number, int of) {
    const Scratch own(kRun * (inner + outer) * sizeof(T));
    T *const packed = static_cast<T*>(own.data()), *const space = packed + kRun * inner;
    float *const own_dw = partial + number * part, *const own_dbias = own_dw + outer * inner;
    for (int64_t first = all * number / of, run = first; run < all * (number + 1) / of; ++run) {
      const int64_t image = run / runs, at = run % runs * kRun, width = std::min(kRun, pixels - at);
      const float* const given = dy + image * outer * pixels + at;
      pack_columns(x + image * inner * pixels + at, inner, pixels, width, packed);
      add_gradient(rows_of(given, outer, pixels, width, space), given, packed, outer, inner, pixels,
                   width, run > first, own_dw, own_dbias);
    }
  });
  for (int64_t i = 1; i < parts; ++i)
    for (int64_t j = 0; j < part; ++j) partial[j] += partial[i * part + j];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t c = 0; c < inner; ++c)
      dw[o * inner + c] = partial[(c / kBlock * outer + o) * kBlock + c % kBlock];
  std::copy_n(partial + outer * inner, outer, dbias);
}

template <class T>
void run(const Convolution& p, const std::vector<void*>& data) {
  const auto floats = [&](int i) { return static_cast<float*>(data[i]); };
  const int64_t batch = p.image[0], pixels = p.image[2] * p.image[3];
  const int64_t inner = p.image[1], outer = p.result[1];
  if (p.kind == kForward)
    product_of<T>(floats(1), false, outer, inner, floats(0), floats(2), batch, pixels, floats(3));
  else if (p.kind == kInputGradient)
    product_of<T>(floats(1), true, inner, outer, floats(0), nullptr, batch, pixels, floats(2));
  else
    weight_gradient<T>(outer, inner, batch, pixels, floats(0), floats(1), floats(2), floats(3));
}

}  // namespace

bool by_product(const Convolution& p) {
  return has_lanes_for(p.factors) && !p.in_blocks &&
         p.weight == Shape{p.result[1], p.image[1], 1, 1} && p.result[2] == p.image[2] &&
         p.result[3] == p.image[3] && p.image[1] % kBlock == 0 && p.result[1] % kBlock == 0 &&
         p.image[2] * p.image[3] % kBlock == 0;
}

void convolve_by_product(const Convolution& p, const std::vector<void*>& data) {
  p.factors == onednn::bf16 ? run<Half>(p, data) : run<float>(p, data);
}

#else

bool by_product(const Convolution&) { return false; }
void convolve_by_product(const Convolution&, const std::vector<void*>&) {}

#endif
