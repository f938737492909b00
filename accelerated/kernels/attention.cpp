// softmax(q k^T / sqrt(d) + mask) v of every head, and its gradients (arXiv 1706.03762, eq. 1).
//
// A head of an item is computed by one thread, from scores that stay in its cache; backwards they are
// computed again. In bfloat16 the factors of every product are rounded to it: queries, keys, values
// and weights, and what comes backwards to them. Scores, softmaxes, sums and results are float32.

#include <algorithm>
#include <cmath>

#include "lanes.h"
#include "products.h"

namespace {

// The numbers of all heads: data[item, head, token, channel] by these steps.
struct View {
  float* data;
  int64_t item, head, token, channel;
  float* at(int64_t b, int64_t h) const { return data + b * item + h * head; }
};

// (B, N, heads d)
View tokens(const Arguments& args, int i, int64_t d) {
  const auto shape = args.shape(i);
  return {args.floats(i), shape[1] * shape[2], d, shape[2], 1};
}

#ifdef DDPM_LANES
// Sixteen channels of sixteen tokens at a time: tokens that stand side by side, one after another.
AVX512 void turn_tokens(const float* from, int64_t channel, int64_t count, int64_t d, float* to) {
  for (int64_t c = 0; c < d; c += 16)
    for (int64_t i = 0; i < count; i += 16) {
      Lanes x[16];
      load_turned(from + c * channel + i, channel, first_of(count - i), x);
      for (int j = 0; j < 16 && i + j < count; ++j) store(x[j], to + (i + j) * d + c);
    }
}

AVX512 void turn_back(const float* from, int64_t channel, int64_t count, int64_t d, float* to) {
  for (int64_t c = 0; c < d; c += 16)
    for (int64_t i = 0; i < count; i += 16) {
      Lanes x[16];
      for (int j = 0; j < 16; ++j) x[j] = load(from + (i + j) * d + c, i + j < count ? kAll : 0);
      transpose(x);
      for (int l = 0; l < 16; ++l) store(x[l], to + (c + l) * channel + i, first_of(count - i));
    }
}

bool turns_by_lanes(const View& view, int64_t d) {
  return view.token == 1 && d % 16 == 0 && has_lanes_for(onednn::f32);
}
#else
void turn_tokens(const float*, int64_t, int64_t, int64_t, float*) {}
void turn_back(const float*, int64_t, int64_t, int64_t, float*) {}
bool turns_by_lanes(const View&, int64_t) { return false; }
#endif

// Tokens of one head, one after another, and back again.
void gather(const View& view, const float* from, int64_t count, int64_t d, float* to) {
  if (view.channel == 1) {
    for (int64_t i = 0; i < count; ++i) std::copy_n(from + i * view.token, d, to + i * d);
  } else if (turns_by_lanes(view, d)) {
    turn_tokens(from, view.channel, count, d, to);
  } else {
    for (int64_t c = 0; c < d; ++c)
      for (int64_t i = 0; i < count; ++i) to[i * d + c] = from[i * view.token + c * view.channel];
  }
}

void scatter(const View& view, const float* from, int64_t count, int64_t d, float* to) {
  if (view.channel == 1) {
    for (int64_t i = 0; i < count; ++i) std::copy_n(from + i * d, d, to + i * view.token);
  } else if (turns_by_lanes(view, d)) {
    turn_back(from, view.channel, count, d, to);
  } else {
    for (int64_t c = 0; c < d; ++c)
      for (int64_t i = 0; i < count; ++i) to[i * view.token + c * view.channel] = from[i * d + c];
  }
}

FOR_EVERY_CPU void scale_and_mask(float* scores, int64_t n, float scale, const float* mask) {
  if (mask == nullptr)
    for (int64_t i = 0; i < n; ++i) scores[i] *= scale;
  else
    for (int64_t i = 0; i < n; ++i) scores[i] = scores[i] * scale + mask[i];
}

// Queries, and keys and values, which begin with `memories` that are the same for all items.
struct Problem {
  int64_t items, heads, queries, keys, memories, d;
  View q, k, v, memory_k, memory_v;
  const float* mask;  // (queries, keys), or null

  int64_t all_keys() const { return memories + keys; }
  int64_t work() const { return 4 * queries * all_keys() * d; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(d)); }
};

// One thread's memory: what is read, weights and results, of T where they are factors.
template <class T>
struct Space {
  float *read, *scores, *result;
  T *q, *k, *v, *weights;
  Space(Parts& parts, const Problem& p)
      : read(parts.take<float>(std::max(p.queries, p.all_keys()) * p.d)),
        scores(parts.take<float>(p.queries * p.all_keys())),
        result(parts.take<float>(std::max(p.queries, p.all_keys()) * p.d)),
        q(parts.take<T>(p.queries * p.d)),
        k(parts.take<T>(p.all_keys() * p.d)),
        v(parts.take<T>(p.all_keys() * p.d)),
        weights(parts.take<T>(p.queries * p.all_keys())) {}
};

template <class T>
struct BackwardSpace : Space<T> {
  float* dscores;
  T *dout, *rounded;
  BackwardSpace(Parts& parts, const Problem& p)
      : Space<T>(parts, p),
        dscores(parts.take<float>(p.queries * p.all_keys())),
        dout(parts.take<T>(p.queries * p.d)),
        rounded(parts.take<T>(p.queries * p.all_keys())) {}
};

template <class S>
size_t bytes_of(const Problem& p) {
  Parts parts(nullptr);
  S(parts, p);
  return parts.taken();
}

inline void keep(const float* from, int64_t n, float* to) { std::copy_n(from, n, to); }
inline void keep(const float* from, int64_t n, Half* to) { factors(from, n, to); }

// Reads a head's queries, keys and values, and computes its weights; those in `scores`.
template <class T>
void weigh(const Problem& p, int64_t b, int64_t h, Space<T>& s, const Product& scores, void* pad,
           OwnStream& stream) {
  gather(p.q, p.q.at(b, h), p.queries, p.d, s.read);
  keep(s.read, p.queries * p.d, s.q);
  const View* const views[][2] = {{&p.memory_k, &p.k}, {&p.memory_v, &p.v}};
  for (int i = 0; i < 2; ++i) {
    if (p.memories > 0) gather(*views[i][0], views[i][0]->at(0, h), p.memories, p.d, s.read);
    gather(*views[i][1], views[i][1]->at(b, h), p.keys, p.d, s.read + p.memories * p.d);
    keep(s.read, p.all_keys() * p.d, i == 0 ? s.k : s.v);
  }
  scores(s.q, s.k, s.scores, pad, stream);
  scale_and_mask(s.scores, p.queries * p.all_keys(), p.scale(), p.mask);
  softmax(s.scores, p.queries, p.all_keys());
}

template <class T>
void forward(const Problem& p, const View& out) {
  constexpr int type = type_of<T>();
  const int64_t n = p.queries, m = p.all_keys(), d = p.d;
  const Product& scores = product(type, n, m, d, kPlain, kTurned);
  const Product& sums = product(type, n, d, m, kPlain, kPlain);
  const size_t pad = std::max(scores.pad(), sums.pad()), bytes = bytes_of<Space<T>>(p);
  for_each_item(p.items * p.heads, p.work(), [&](int64_t item) {
    const int64_t b = item / p.heads, h = item % p.heads;
    OwnStream stream;
    const Scratch scratch(pad + bytes);
    Parts parts(static_cast<char*>(scratch.data()) + pad);
    Space<T> s(parts, p);
    weigh(p, b, h, s, scores, scratch.data(), stream);
    sums(factors(s.scores, n * m, s.weights), s.v, s.result, scratch.data(), stream);
    scatter(out, s.result, n, d, out.at(b, h));
  });
}

// `dmemory` (2, items, heads, memories, d), or null.
template <class T>
void backward(const Problem& p, const View& dout, const View& dq, const View& dk, const View& dv,
              float* dmemory) {
  constexpr int type = type_of<T>();
  const int64_t n = p.queries, m = p.all_keys(), d = p.d;
  const Product& scores = product(type, n, m, d, kPlain, kTurned);  // and dL/dweights
  const Product& by_query = product(type, n, d, m, kPlain, kPlain);
  const Product& by_key = product(type, m, d, n, kTurned, kPlain);
  const size_t pad = std::max({scores.pad(), by_query.pad(), by_key.pad()});
  const size_t bytes = bytes_of<BackwardSpace<T>>(p);
  for_each_item(p.items * p.heads, 3 * p.work(), [&](int64_t item) {
    const int64_t b = item / p.heads, h = item % p.heads;
    OwnStream stream;
    const Scratch scratch(pad + bytes);
    void* const aside = scratch.data();
    Parts parts(static_cast<char*>(aside) + pad);
    BackwardSpace<T> s(parts, p);
    weigh(p, b, h, s, scores, aside, stream);
    gather(dout, dout.at(b, h), n, d, s.read);
    keep(s.read, n * d, s.dout);
    scores(s.dout, s.v, s.dscores, aside, stream);
    softmax_gradient(s.scores, s.dscores, n, m);
    scale_and_mask(s.dscores, n * m, p.scale(), nullptr);
    const auto give = [&](const View& view, int which) {
      if (p.memories > 0)
        std::copy_n(s.result, p.memories * d,
                    dmemory + (which * p.items * p.heads + item) * p.memories * d);
      scatter(view, s.result + p.memories * d, p.keys, d, view.at(b, h));
    };
    by_key(factors(s.scores, n * m, s.weights), s.dout, s.result, aside, stream);
    give(dv, 1);
    const T* const dscores = factors(s.dscores, n * m, s.rounded);
    by_key(dscores, s.q, s.result, aside, stream);
    give(dk, 0);
    by_query(dscores, s.k, s.result, aside, stream);
    scatter(dq, s.result, n, d, dq.at(b, h));
  });
}

// q (B, N, C), k and v (B, M, C), mask (N, M) where there is one, settings: heads, whether.
Problem of_tokens(const Arguments& args) {
  const auto q = args.shape(0), k = args.shape(1);
  const int64_t heads = static_cast<int64_t>(args.floats(4)[0]), d = q[2] / heads;
  return {q[0], heads, q[1], k[1], 0, d, tokens(args, 0, d), tokens(args, 1, d),
          tokens(args, 2, d), {}, {}, args.floats(4)[1] != 0.0f ? args.floats(3) : nullptr};
}

// qkv (B, 3 heads d, N), memory (2, heads, M, d), settings: heads, M or 0 where there is none.
struct Pixels {
  int64_t items, heads, pixels, memories, d;
  explicit Pixels(const Arguments& args)
      : items(args.shape(0)[0]),
        heads(static_cast<int64_t>(args.floats(2)[0])),
        pixels(args.shape(0)[2]),
        memories(static_cast<int64_t>(args.floats(2)[1])),
        d(args.shape(0)[1] / (3 * heads)) {}
  // Part 0, 1, 2 of qkv: q, k, v.
  View part(float* qkv, int i) const {
    const int64_t size = heads * d * pixels;
    return {qkv + i * size, 3 * size, d * pixels, 1, pixels};
  }
  View out(float* data) const { return {data, heads * d * pixels, d * pixels, 1, pixels}; }
  Problem problem(const Arguments& args) const {
    float *const x = args.floats(0), *const memory = args.floats(1);
    const int64_t each = memories * d;
    return {items, heads, pixels, pixels, memories, d, part(x, 0), part(x, 1), part(x, 2),
            {memory, 0, each, d, 1}, {memory + heads * each, 0, each, d, 1}, nullptr};
  }
};

template <class T>
void pixels_forward(const Arguments& args) {
  const Pixels pixels(args);
  forward<T>(pixels.problem(args), pixels.out(args.floats(3)));
}

template <class T>
void pixels_backward(const Arguments& args) {
  const Pixels p(args);
  float *const dx = args.floats(4), *const dmemory = args.floats(5);
  const int64_t each = p.heads * p.memories * p.d;  // of one item, keys or values
  const Scratch scratch(2 * p.items * each * sizeof(float));
  float* const own = static_cast<float*>(scratch.data());
  backward<T>(p.problem(args), p.out(args.floats(3)), p.part(dx, 0), p.part(dx, 1), p.part(dx, 2),
              own);
  std::fill_n(dmemory, args.size(5), 0.0f);
  for (int64_t i = 0; i < 2 * p.items; ++i)
    for (int64_t j = 0; j < each; ++j) dmemory[i / p.items * each + j] += own[i * each + j];
}

template <class T>
void tokens_forward(const Arguments& args) {
  const Problem p = of_tokens(args);
  forward<T>(p, tokens(args, 5, p.d));
}

template <class T>
void tokens_backward(const Arguments& args) {
  const Problem p = of_tokens(args);
  backward<T>(p, tokens(args, 5, p.d), tokens(args, 6, p.d), tokens(args, 7, p.d),
              tokens(args, 8, p.d), nullptr);
}

}  // namespace

// q, k, v, mask, settings -> out (B, N, C)
DDPM_OPERATOR(attention) { tokens_forward<float>(args); }
DDPM_OPERATOR(attention_bfloat16) { tokens_forward<Half>(args); }

// q, k, v, mask, settings, dL/dout -> dL/dq, dL/dk, dL/dv
DDPM_OPERATOR(attention_gradient) { tokens_backward<float>(args); }
DDPM_OPERATOR(attention_bfloat16_gradient) { tokens_backward<Half>(args); }

// qkv, memory, settings -> out (B, heads d, N)
DDPM_OPERATOR(pixel_attention) { pixels_forward<float>(args); }
DDPM_OPERATOR(pixel_attention_bfloat16) { pixels_forward<Half>(args); }

// qkv, memory, settings, dL/dout -> dL/dqkv, dL/dmemory
DDPM_OPERATOR(pixel_attention_gradient) { pixels_backward<float>(args); }
DDPM_OPERATOR(pixel_attention_bfloat16_gradient) { pixels_backward<Half>(args); }
