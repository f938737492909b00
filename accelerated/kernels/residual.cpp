// A residual block of a U-Net (reference/networks/layers.py, resnet_block):
//
//   out = f(c_2, g_2) + r      c_2 = w_2 * f(c_1, g_1, modulation) + b_2,  c_1 = w_1 * x + b_1
//
// where * is a 3x3 convolution, f the norm, modulation and SiLU of blocked.h, and r = w_r * x + b_r by
// a 1x1 convolution, or x. x may come in two parts, whose channels follow each other. Images are
// kept in blocks of 16 channels between convolutions and norms, where they are rounded to bfloat16 if the
// factors of products are to be; x, out and all gradients that leave the block are plain float32. Gradients
// need no plain x, which may be gone by then, and compute f of c_1 again: an image that is not kept.

#include <algorithm>

#include "blocked.h"
#include "convolution.h"
#include "lanes.h"

#ifdef DDPM_LANES

namespace {

// x, y, modulation, w_1, b_1, g_1, w_2, b_2, g_2, w_r, b_r: y of no channels where x is in one part,
// w_r of one number where r is x.
enum Input { kX, kY, kModulation, kW1, kB1, kG1, kW2, kB2, kG2, kWr, kBr, kInputs };

struct Block {
  Extent x, y, all, result;
  Shape image, hidden, w1, w2, wr;
  bool shortcut;  // by a convolution

  // out: the place of its shape; y has the channels that x lacks.
  Block(const Arguments& args, int out, int64_t x_channels)
      : image(args.shape(out)), hidden(image), w1(args.shape(kW1)), w2(args.shape(kW2)), wr(args.shape(kWr)) {
    image[1] = w1[1];
    const int64_t pixels = image[2] * image[3];
    x = {image[0], x_channels, pixels};
    y = {image[0], image[1] - x_channels, pixels};
    all = {image[0], image[1], pixels};
    result = {image[0], hidden[1], pixels};
    shortcut = wr.size() == 4;
  }
  template <class T>
  NormSilu<T> first(const Arguments& args) const {
    return {result, args.floats(kG1), args.floats(kModulation)};
  }
  template <class T>
  NormSilu<T> second(const Arguments& args) const { return {result, args.floats(kG2), nullptr}; }
  // Of an image of this shape, with factors, and a result, of these types.
  void run(Kind kind, int factors, const Shape& from, const Shape& weight, int computed,
           const std::vector<void*>& data) const {
    convolve({kind, factors, from, weight, hidden, true, computed}, data);
  }
};

// What a block keeps for its gradients: x, c_1 and c_2.
template <class T>
struct Kept {
  T *x, *c1, *c2;
  Kept(float* data, const Block& b)
      : x(reinterpret_cast<T*>(data)), c1(x + b.all.size()), c2(c1 + b.result.size()) {}
};

// Call work(first, number) for parts of n numbers.
template <class Work>
void for_each_part(int64_t n, Work work) {
  auto& threads = library().threads_for(n * kWorkOfAnElement);
  threads.parallel_for(4 * threads.get_num_threads(), [&](int part, int of) {
    const int64_t first = n * part / of;
    work(first, n * (part + 1) / of - first);
  });
}

// Copy a part of every image's channels from or to images of so many channels.
void copy(const Extent& part, const float* from, int64_t from_channels, float* to, int64_t to_channels) {
  const int64_t own = part.channels * part.pixels;
  for_each_part(part.size(), [&](int64_t first, int64_t count) {
    for (const int64_t end = first + count; first < end;) {
      const int64_t image = first / own, within = first % own, n = std::min(end - first, own - within);
      std::copy_n(from + image * from_channels * part.pixels + within, n,
                  to + image * to_channels * part.pixels + within);
      first += n;
    }
  });
}

FOR_EVERY_CPU void add(const float* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

template <class T>
void forward(const Arguments& args) {
  constexpr int type = type_of<T>();
  const Block b(args, kInputs, args.shape(kX)[1]);
  float* const out = args.floats(kInputs);
  const Kept<T> kept(args.floats(kInputs + 1), b);
  to_blocks(args.floats(kX), b.x, b.all.channels, 0, kept.x);
  if (b.y.channels > 0) to_blocks(args.floats(kY), b.y, b.all.channels, b.x.channels, kept.x);
  b.run(kForward, type, b.image, b.w1, type,
        {kept.x, args.floats(kW1), args.floats(kB1), kept.c1});
  const Scratch scratch(b.result.size() * sizeof(float));
  T* const a1 = static_cast<T*>(scratch.data());
  b.first<T>(args).forward(kept.c1, a1);
  b.run(kForward, type, b.hidden, b.w2, type,
        {a1, args.floats(kW2), args.floats(kB2), kept.c2});
  if (b.shortcut) {
    b.run(kForward, type, b.image, b.wr, onednn::f32,
        {kept.x, args.floats(kWr), args.floats(kBr), scratch.data()});
    from_blocks(static_cast<float*>(scratch.data()), b.result.channels, 0, b.result, false, out);
  } else {
    copy(b.x, args.floats(kX), b.x.channels, out, b.all.channels);
    copy(b.y, args.floats(kY), b.y.channels, out + b.x.channels * b.x.pixels, b.all.channels);
  }
  b.second<T>(args).forward_onto(kept.c2, out);
}

template <class T>
void backward(const Arguments& args) {
  constexpr int type = type_of<T>();
  const Block b(args, kInputs + 1, args.shape(kX)[0]);
  const Kept<T> kept(args.floats(kInputs), b);
  const float* const dout = args.floats(kInputs + 1);
  const auto gradient = [&](int input) { return args.floats(kInputs + 2 + input); };
  const Scratch factors(2 * b.result.size() * sizeof(T));
  const Scratch floats((std::max(b.all.size(), b.result.size()) + b.all.size()) * sizeof(float));
  T *const dc2 = static_cast<T*>(factors.data()), *const dc1 = dc2 + b.result.size();
  float *const back = static_cast<float*>(floats.data());
  float *const aside = back + std::max(b.all.size(), b.result.size());

  b.second<T>(args).backward(kept.c2, dout, true, dc2, gradient(kG2), nullptr);
  T* const a1 = reinterpret_cast<T*>(back);  // used up before back is written
  b.first<T>(args).forward(kept.c1, a1);
  b.run(kWeightGradient, type, b.hidden, b.w2, type,
        {a1, dc2, gradient(kW2), gradient(kB2)});
  b.run(kInputGradient, type, b.hidden, b.w2, onednn::f32,
        {dc2, args.floats(kW2), back});
  b.first<T>(args).backward(kept.c1, back, false, dc1, gradient(kG1), gradient(kModulation));
  b.run(kWeightGradient, type, b.image, b.w1, type,
        {kept.x, dc1, gradient(kW1), gradient(kB1)});
  b.run(kInputGradient, type, b.image, b.w1, onednn::f32,
        {dc1, args.floats(kW1), back});
  if (b.shortcut) {
    to_blocks(dout, b.result, b.result.channels, 0, dc2);
    b.run(kWeightGradient, type, b.image, b.wr, type,
        {kept.x, dc2, gradient(kWr), gradient(kBr)});
    b.run(kInputGradient, type, b.image, b.wr, onednn::f32,
        {dc2, args.floats(kWr), aside});
    for_each_part(b.all.size(), [&](int64_t first, int64_t count) {
      add(aside + first, count, back + first);
    });
  } else {
    copy(b.x, dout, b.all.channels, gradient(kX), b.x.channels);
    copy(b.y, dout + b.x.channels * b.x.pixels, b.all.channels, gradient(kY), b.y.channels);
    *gradient(kWr) = *gradient(kBr) = 0.0f;
  }
  from_blocks(back, b.all.channels, 0, b.x, !b.shortcut, gradient(kX));
  if (b.y.channels > 0)
    from_blocks(back, b.all.channels, b.x.channels, b.y, !b.shortcut, gradient(kY));
  else
    *gradient(kY) = 0.0f;
}

}  // namespace

// inputs -> out (B, O, H, W), kept
DDPM_OPERATOR(residual) { forward<float>(args); }
DDPM_OPERATOR(residual_bfloat16) { forward<Half>(args); }

// inputs, but of x and y one number for each channel alone, kept, dL/dout -> the gradients by all inputs
DDPM_OPERATOR(residual_gradient) { backward<float>(args); }
DDPM_OPERATOR(residual_bfloat16_gradient) { backward<Half>(args); }

#endif
