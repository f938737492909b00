// softmax(q) (softmax(k) v^T) / sqrt(d) of every head, and its gradients (arXiv 1812.01243, eq. 7):
// q over the d channels of each pixel, k over all pixels.
//
//   context[e, f] = sum_n v[e, n] k[f, n] / sqrt(d),  out[e, n] = sum_f context[e, f] q[f, n]
//
// A head of an item is computed by one thread. In bfloat16 the factors of every product are rounded to
// it, the context's being those of out; softmaxes, sums and results are float32.

#include <algorithm>
#include <cmath>

#include "products.h"

namespace {

constexpr int kTile = 64;

// The softmax of n columns of d numbers, which stand `stride` apart: rows that are a power of two apart
// share few places in the caches, so each is read and written once, by way of `space`.
FOR_EVERY_CPU void column_softmax(const float* __restrict x, int64_t d, int64_t stride, int n,
                                  float* __restrict space, float* __restrict y) {
  float most[kTile], sums[kTile] = {};
  std::copy_n(x, n, most);
  for (int64_t c = 0; c < d; ++c)
    for (int i = 0; i < n; ++i) {
      const float each = x[c * stride + i];
      space[c * kTile + i] = each;
      most[i] = each > most[i] ? each : most[i];
    }
  for (int64_t c = 0; c < d; ++c)
    for (int i = 0; i < n; ++i) {
      const float power = power_below(space[c * kTile + i], most[i]);
      space[c * kTile + i] = power;
      sums[i] += power;
    }
  for (int i = 0; i < n; ++i) sums[i] = 1.0f / sums[i];
  for (int64_t c = 0; c < d; ++c)
    for (int i = 0; i < n; ++i) y[c * stride + i] = space[c * kTile + i] * sums[i];
}

// dL/dx of its result y, given dL/dy.
FOR_EVERY_CPU void column_softmax_gradient(const float* __restrict y, const float* __restrict dy,
                                           int64_t d, int64_t stride, int n,
                                           float* __restrict dx) {
  float inner[kTile] = {};
  for (int64_t c = 0; c < d; ++c)
    for (int i = 0; i < n; ++i) inner[i] += y[c * stride + i] * dy[c * stride + i];
  for (int64_t c = 0; c < d; ++c)
    for (int i = 0; i < n; ++i)
      dx[c * stride + i] = y[c * stride + i] * (dy[c * stride + i] - inner[i]);
}

FOR_EVERY_CPU void multiply(float* x, int64_t n, float factor) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// qkv (B, 3 heads d, N), memory (2, heads, d, M), settings: heads, M or 0 where there is none.
struct Problem {
  int64_t items, heads, pixels, memories, d;
  const float *qkv, *memory;

  explicit Problem(const Arguments& args)
      : items(args.shape(0)[0]),
        heads(static_cast<int64_t>(args.floats(2)[0])),
        pixels(args.shape(0)[2]),
        memories(static_cast<int64_t>(args.floats(2)[1])),
        d(args.shape(0)[1] / (3 * heads)),
        qkv(args.floats(0)),
        memory(args.floats(1)) {}

  int64_t keys() const { return memories + pixels; }
  int64_t work() const { return 4 * d * d * keys() + 4 * kWorkOfAnElement * d * keys(); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }
  // Where q, k, v (0, 1, 2) of a head are in qkv; in a result; and k, v (1, 2) in the memory.
  int64_t at(int64_t item, int which) const {
    return ((item / heads * 3 + which) * heads + item % heads) * d * pixels;
  }
  int64_t out_at(int64_t item) const { return item * d * pixels; }
  int64_t memory_at(int64_t item, int which) const {
    return ((which - 1) * heads + item % heads) * d * memories;
  }

  // Keys or values of a head, those of the memory first: (d, M + N).
  void read(int64_t item, int which, float* to) const {
    for (int64_t c = 0; c < d; ++c) {
      std::copy_n(memory + memory_at(item, which) + c * memories, memories, to + c * keys());
      std::copy_n(qkv + at(item, which) + c * pixels, pixels, to + c * keys() + memories);
    }
  }
  // The opposite, for their gradients.
  void write(const float* from, int64_t item, int which, float* dqkv, float* dmemory) const {
    for (int64_t c = 0; c < d; ++c) {
      std::copy_n(from + c * keys(), memories, dmemory + c * memories);
      std::copy_n(from + c * keys() + memories, pixels, dqkv + at(item, which) + c * pixels);
    }
  }
};

template <class T>
struct Space {
  float *q, *k, *v, *context, *columns;
  T *rounded_q, *rounded_k, *rounded_v, *rounded_context;
  Space(Parts& parts, const Problem& p)
      : q(parts.take<float>(p.d * p.pixels)),
        k(parts.take<float>(p.d * p.keys())),
        v(parts.take<float>(p.d * p.keys())),
        context(parts.take<float>(p.d * p.d)),
        columns(parts.take<float>(p.d * kTile)),
        rounded_q(parts.take<T>(p.d * p.pixels)),
        rounded_k(parts.take<T>(p.d * p.keys())),
        rounded_v(parts.take<T>(p.d * p.keys())),
        rounded_context(parts.take<T>(p.d * p.d)) {}
};

template <class T>
struct BackwardSpace : Space<T> {
  float *dq, *dcontext;
  T *dout, *rounded_dcontext;
  BackwardSpace(Parts& parts, const Problem& p)
      : Space<T>(parts, p),
        dq(parts.take<float>(p.d * p.keys())),
        dcontext(parts.take<float>(p.d * p.d)),
        dout(parts.take<T>(p.d * p.pixels)),
        rounded_dcontext(parts.take<T>(p.d * p.d)) {}
};

template <class S>
size_t bytes_of(const Problem& p) {
  Parts parts(nullptr);
  S(parts, p);
  return parts.taken();
}

// The factors of a head's products.
template <class T>
struct Factors {
  const T *q, *k, *v, *context;
};

template <class T>
Factors<T> compute(const Problem& p, int64_t item, Space<T>& s, const Product& contexts, void* pad,
                   OwnStream& stream) {
  const float* q = p.qkv + p.at(item, 0);
  for (int64_t i = 0; i < p.pixels; i += kTile)
    column_softmax(q + i, p.d, p.pixels, static_cast<int>(std::min<int64_t>(kTile, p.pixels - i)),
                   s.columns, s.q + i);
  p.read(item, 1, s.k);
  p.read(item, 2, s.v);
  softmax(s.k, p.d, p.keys());
  Factors<T> f{factors(s.q, p.d * p.pixels, s.rounded_q), factors(s.k, p.d * p.keys(), s.rounded_k),
               factors(s.v, p.d * p.keys(), s.rounded_v), nullptr};
  contexts(f.v, f.k, s.context, pad, stream);
  multiply(s.context, p.d * p.d, p.scale());
  f.context = factors(s.context, p.d * p.d, s.rounded_context);
  return f;
}

template <class T>
void forward(const Problem& p, float* out) {
  constexpr int type = type_of<T>();
  const Product& contexts = product(type, p.d, p.d, p.keys(), kPlain, kTurned);
  const Product& results = product(type, p.d, p.pixels, p.d, kPlain, kPlain);
  const size_t pad = std::max(contexts.pad(), results.pad()), bytes = bytes_of<Space<T>>(p);
  for_each_item(p.items * p.heads, p.work(), [&](int64_t item) {
    OwnStream stream;
    const Scratch scratch(pad + bytes);
    Parts parts(static_cast<char*>(scratch.data()) + pad);
    Space<T> s(parts, p);
    const auto f = compute(p, item, s, contexts, scratch.data(), stream);
    results(f.context, f.q, out + p.out_at(item), scratch.data(), stream);
  });
}

// Adds to `dmemory`.
template <class T>
void backward(const Problem& p, const float* dout, float* dqkv, float* dmemory) {
  constexpr int type = type_of<T>();
  const int64_t d = p.d, n = p.pixels, m = p.keys();
  const Product& contexts = product(type, d, d, m, kPlain, kTurned);
  const Product& dcontexts = product(type, d, d, n, kPlain, kTurned);
  const Product& dqueries = product(type, d, n, d, kTurned, kPlain);
  const Product& dkeys = product(type, d, m, d, kTurned, kPlain);
  const Product& dvalues = product(type, d, m, d, kPlain, kPlain);
  const size_t pad = std::max({contexts.pad(), dcontexts.pad(), dqueries.pad(), dkeys.pad(),
                               dvalues.pad()});
  const size_t bytes = bytes_of<BackwardSpace<T>>(p);
  // Of each item, to be added up in their order: the result does not depend on the threads.
  const int64_t each = d * p.memories, all = p.items * p.heads;
  const Scratch own(2 * all * each * sizeof(float));
  float* const memories = static_cast<float*>(own.data());
  for_each_item(all, 3 * p.work(), [&](int64_t item) {
    OwnStream stream;
    const Scratch scratch(pad + bytes);
    void* const aside = scratch.data();
    Parts parts(static_cast<char*>(aside) + pad);
    BackwardSpace<T> s(parts, p);
    const auto f = compute(p, item, s, contexts, aside, stream);
    const T* const up = factors(dout + p.out_at(item), d * n, s.dout);
    dqueries(f.context, up, s.dq, aside, stream);
    for (int64_t i = 0; i < n; i += kTile)
      column_softmax_gradient(s.q + i, s.dq + i, d, n, static_cast<int>(std::min<int64_t>(kTile, n - i)),
                              dqkv + p.at(item, 0) + i);
    dcontexts(up, f.q, s.dcontext, aside, stream);
    multiply(s.dcontext, d * d, p.scale());
    const T* const dcontext = factors(s.dcontext, d * d, s.rounded_dcontext);
    dkeys(dcontext, f.v, s.dq, aside, stream);
    softmax_gradient(s.k, s.dq, d, m);
    p.write(s.dq, item, 1, dqkv, memories + item * each);
    dvalues(dcontext, f.k, s.dq, aside, stream);
    p.write(s.dq, item, 2, dqkv, memories + (all + item) * each);
  });
  for (int64_t i = 0; i < 2 * all; ++i) {
    float* const to = dmemory + p.memory_at(i % all, i < all ? 1 : 2);
    for (int64_t j = 0; j < each; ++j) to[j] += memories[i * each + j];
  }
}

}  // namespace

// qkv, memory, settings -> out (B, heads d, N)
DDPM_OPERATOR(linear_attention) { forward<float>(Problem(args), args.floats(3)); }
DDPM_OPERATOR(linear_attention_bfloat16) { forward<Half>(Problem(args), args.floats(3)); }

// qkv, memory, settings, dL/dout -> dL/dqkv, dL/dmemory
DDPM_OPERATOR(linear_attention_gradient) {
  std::fill_n(args.floats(5), args.size(5), 0.0f);
  backward<float>(Problem(args), args.floats(3), args.floats(4), args.floats(5));
}
DDPM_OPERATOR(linear_attention_bfloat16_gradient) {
  std::fill_n(args.floats(5), args.size(5), 0.0f);
  backward<Half>(Problem(args), args.floats(3), args.floats(4), args.floats(5));
}
