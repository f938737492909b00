#include "winograd.h"

#include "lanes.h"

#ifdef DDPM_LANES

#include "winograd_tiles.h"

namespace {

constexpr int kRows = 8;
constexpr int64_t kMostTiles = 64;         // that one thread transforms and multiplies at a time
constexpr int64_t kMostSums = 1 << 25;     // numbers that all threads' gradients by weights may have
constexpr int64_t kMostWeights = 1 << 20;  // filters, which take 64 MB when they are transformed
constexpr int64_t kPage = 4096;

// What is convolved, forwards or by its input: images; small ones, each of whose pixels stands for a
// square of four; large ones, of whose results each square is added up.
enum Form { kImages, kSmall, kLarge };

// The rows of transformed tiles that there are.
template <Form form>
using RowsOf = std::conditional_t<form == kImages, Whole, Doubled>;

// Images, the large ones if there are two sizes, in tiles of 2x2 pixels.
struct Tiles {
  int64_t batch, height, width;
  int64_t chunk;  // as many as one thread has at a time: fewer where there are threads for all

  explicit Tiles(const Shape& image) : batch(image[0]), height(image[2]), width(image[3]) {
    const int64_t all = library().threads->get_num_threads() * kRows;
    chunk = std::min(kMostTiles, (count() + all - 1) / all * kRows);
  }
  int64_t chunks() const { return (count() + chunk - 1) / chunk; }
  int64_t across() const { return width / 2; }
  int64_t of_image() const { return height / 2 * across(); }
  int64_t count() const { return batch * of_image(); }
  // Where block number `block` of `blocks` of the image begins in which tile number `tile` is, and
  // where it does in a small one.
  int64_t place(int64_t tile, int64_t block, int64_t blocks) const {
    return 4 * small_place(tile, block, blocks);
  }
  int64_t small_place(int64_t tile, int64_t block, int64_t blocks) const {
    return (tile / of_image() * blocks + block) * of_image() * kBlock;
  }
  // Call work(first tile, its row, its column, number) for all tiles from begin to end, those of one
  // row together.
  template <class Work>
  void for_each_row(int64_t begin, int64_t end, Work work) const {
    while (begin < end) {
      const int64_t within = begin % of_image(), column = within % across();
      const int64_t n = std::min(end - begin, across() - column);
      work(begin, within / across(), column, n);
      begin += n;
    }
  }
};

// From one position's numbers to the next one's: not a power of two, since the caches keep few lines
// that lie such a distance apart.
constexpr int64_t stride_of(int64_t rows, int64_t channels) { return rows * channels + 2 * kBlock; }

// u (positions, outer / 16, inner, 16) of the filters of `outer` by `inner` channels, to be summed
// over the inner ones.
template <class Rows, class T>
AVX512 void weights_of(const float* w, int64_t outer, int64_t inner, int64_t block, bool by_input,
                       T* u) {
  // Forwards, outer channels are results: w (outer, inner, 3, 3); else w (inner, outer, 3, 3).
  const int64_t next = by_input ? outer : 1, stride = by_input ? 1 : inner;
  Lanes transformed[16];
  for (int64_t k = 0; k < inner; ++k) {
    const float* const from =
        w + (by_input ? k * next + block * kBlock : block * kBlock * inner + k) * 9;
    transform_weight(from, stride * 9, by_input, transformed);
    for (int p = 0; p < kPositions<Rows>; ++p)
      DownRows::put(transformed[4 * Rows::row[p / Rows::n] + Rows::row[p % Rows::n]], k,
                    u + p * stride_of(inner, outer) + block * kBlock * inner);
  }
}

// m (outer / 16, rows, 16) = v u of one position: rows of tiles, a multiple of kRows.
template <class T>
AVX512 void multiply_tiles(const T* v, const T* u, int64_t rows, int64_t chunk, int64_t inner,
                           int64_t outer, float* m) {
  constexpr int64_t of_block = words<T>(kBlock);
  multiply_all<T, kRows, 2>(
      {words_of(v), of_block, 1, inner / kBlock, words<T>(chunk * kBlock), of_block}, rows, outer,
      words_of(u), words<T>(inner * kBlock), {m, kBlock, chunk * kBlock}, false);
}

// v of `count` tiles, the first of them number `tile`.
template <Form form, class Put, class T>
void transform(const Tiles& tiles, const T* image, int64_t tile, int64_t block, int64_t blocks,
               int64_t ty, int64_t tx, int64_t count, T* v, int64_t first, int64_t position) {
  if constexpr (form == kSmall)
    transform_small<Put>(image + tiles.small_place(tile, block, blocks), tiles.height / 2,
                         tiles.width / 2, ty, tx, count, v, first, position);
  else
    transform_image<RowsOf<form>, Put>(image + tiles.place(tile, block, blocks), tiles.height,
                                       tiles.width, ty, tx, count, v, first, position);
}

// Images of `inner` channels to results of `outer` ones.
template <Form form, class T, class R>
void convolve(const Tiles& tiles, int64_t inner, int64_t outer, const T* image, const float* w,
              bool by_input, const float* bias, R* result) {
  constexpr int positions = kPositions<RowsOf<form>>;
  const Scratch weights(positions * stride_of(inner, outer) * sizeof(T));
  T* const u = static_cast<T*>(weights.data());
  for_each_item(outer / kBlock, inner * kBlock * positions * kWorkOfAnElement, [&](int64_t block) {
    weights_of<RowsOf<form>>(w, outer, inner, block, by_input, u);
  });
  for_each_item(tiles.chunks(), 2 * positions * tiles.chunk * inner * outer, [&](int64_t chunk) {
    const int64_t begin = chunk * tiles.chunk, end = std::min(begin + tiles.chunk, tiles.count());
    const int64_t rows = (end - begin + kRows - 1) / kRows * kRows, size = tiles.chunk * kBlock;
    const int64_t v_next = stride_of(tiles.chunk, inner), m_next = stride_of(tiles.chunk, outer);
    const Scratch own(positions * (v_next * sizeof(T) + m_next * sizeof(float)) + 64);
    Parts parts(own.data());
    T* const v = parts.take<T>(positions * v_next);
    float* const m = parts.take<float>(positions * m_next);
    for (int64_t block = 0, blocks = inner / kBlock; block < blocks; ++block)
      tiles.for_each_row(begin, end, [&](int64_t tile, int64_t ty, int64_t tx, int64_t n) {
        transform<form, AcrossRow>(tiles, image, tile, block, blocks, ty, tx, n, v + block * size,
                                   tile - begin, v_next);
      });
    for (int p = 0; p < positions; ++p)
      multiply_tiles(v + p * v_next, u + p * stride_of(inner, outer), rows, tiles.chunk, inner, outer,
                     m + p * m_next);
    for (int64_t block = 0, blocks = outer / kBlock; block < blocks; ++block)
      tiles.for_each_row(begin, end, [&](int64_t tile, int64_t ty, int64_t tx, int64_t n) {
        if constexpr (form == kLarge)
          transform_sum(m + block * size, tile - begin, m_next, tiles.width / 2, ty, tx, n,
                        result + tiles.small_place(tile, block, blocks));
        else
          transform_result<RowsOf<form>>(
              m + block * size, tile - begin, m_next,
              bias == nullptr ? nullptr : bias + block * kBlock, tiles.width, ty, tx, n,
              result + tiles.place(tile, block, blocks));
      });
  });
}

// du (outer / 16, inner, 16) = v^T z of one position, or added to it.
template <class T>
AVX512 void multiply_gradient(const T* v, const T* z, int64_t rows, int64_t chunk, int64_t inner,
                              int64_t outer, bool adds, float* du) {
  const int64_t block = words<T>(chunk * kBlock), steps = (rows + kHeld<T> - 1) / kHeld<T>;
  for (int64_t c = 0; c < inner; c += kBlock)
    multiply_all<T, kRows, 2>({words_of(v) + c / kBlock * block, 1, kBlock, 1, 0, steps}, kBlock, outer,
                    words_of(z), block, {du + c * kBlock, kBlock, inner * kBlock}, adds);
}

// dL/dw of the filters of one block of results, from the sum of what the parts have.
template <class Rows>
AVX512 void weight_gradient_of(const float* du, int64_t parts, int64_t part, int64_t inner,
                               int64_t outer, int64_t block, float* dw) {
  Lanes u[16];
  for (Lanes& each : u) each = _mm512_setzero_ps();
  for (int64_t c = 0; c < inner; ++c) {
    for (int p = 0; p < kPositions<Rows>; ++p) {
      const float* const from = du + p * stride_of(inner, outer) + (block * inner + c) * kBlock;
      Lanes sum = load(from);
      for (int64_t i = 1; i < parts; ++i) sum += load(from + i * part);
      u[4 * Rows::row[p / Rows::n] + Rows::row[p % Rows::n]] = sum;
    }
    transform_back(u, inner * 9, dw + (block * kBlock * inner + c) * 9);
  }
}

template <Form form, class T>
void weight_gradient(const Tiles& tiles, int64_t inner, int64_t outer, const T* image, const T* dy,
                     float* dw, float* dbias) {
  constexpr int positions = kPositions<RowsOf<form>>;
  auto& threads = library().threads_for(2 * positions * tiles.count() * inner * outer);
  const int64_t du_next = stride_of(inner, outer), part = positions * du_next;
  const int64_t chunks = tiles.chunks(), most = std::max<int64_t>(1, kMostSums / part);
  const int64_t parts = std::min<int64_t>({chunks, threads.get_num_threads(), most});
  const int64_t v_next = stride_of(tiles.chunk, inner), z_next = stride_of(tiles.chunk, outer);
  const Scratch sums((parts * (part + outer)) * sizeof(float));
  float* const du = static_cast<float*>(sums.data());
  float* const biases = du + parts * part;
  std::fill_n(biases, parts * outer, 0.0f);
  threads.parallel_for(static_cast<int>(parts), [&](int number, int of) {
    const int64_t last = chunks * (number + 1) / of;
    const Scratch own(positions * (v_next + z_next) * sizeof(T));
    T *const v = static_cast<T*>(own.data()), *const z = v + positions * v_next;
    const int64_t size = tiles.chunk * kBlock;
    for (int64_t first = chunks * number / of, chunk = first; chunk < last; ++chunk) {
      const int64_t begin = chunk * tiles.chunk, end = std::min(begin + tiles.chunk, tiles.count());
      for (int64_t block = 0, blocks = inner / kBlock; block < blocks; ++block)
        tiles.for_each_row(begin, end, [&](int64_t tile, int64_t ty, int64_t tx, int64_t n) {
          transform<form, DownRows>(tiles, image, tile, block, blocks, ty, tx, n, v + block * size,
                                    tile - begin, v_next);
        });
      for (int64_t block = 0, blocks = outer / kBlock; block < blocks; ++block)
        tiles.for_each_row(begin, end, [&](int64_t tile, int64_t ty, int64_t tx, int64_t n) {
          transform_gradient<RowsOf<form>>(dy + tiles.place(tile, block, blocks), tiles.width, ty,
                                           tx, n, z + block * size, tile - begin, z_next,
                                           biases + number * outer + block * kBlock);
        });
      for (int p = 0; p < positions; ++p)
        multiply_gradient(v + p * v_next, z + p * z_next, end - begin, tiles.chunk, inner, outer,
                          chunk > first, du + number * part + p * du_next);
    }
  });
  for_each_item(outer / kBlock, part / outer * kBlock * kWorkOfAnElement, [&](int64_t block) {
    weight_gradient_of<RowsOf<form>>(du, parts, part, inner, outer, block, dw);
  });
  std::copy_n(biases, outer, dbias);
  for (int64_t i = outer; i < parts * outer; ++i) dbias[i % outer] += biases[i];
}

bool is_doubled(const Convolution& p) { return p.result[2] == 2 * p.image[2]; }

// `forwards` and `back`: what is convolved then.
template <Form forwards, Form back, class T, class R>
void run(const Convolution& p, const void* first, const std::vector<void*>& data, void* result) {
  const Tiles tiles(p.result);
  const auto floats = [&](int i) { return static_cast<float*>(data[i]); };
  const T* const from = static_cast<const T*>(first);
  if (p.kind == kForward)
    convolve<forwards>(tiles, p.image[1], p.result[1], from, floats(1), false, floats(2),
                       static_cast<R*>(result));
  else if (p.kind == kInputGradient)
    convolve<back>(tiles, p.result[1], p.image[1], from, floats(1), true, static_cast<float*>(nullptr),
                   static_cast<R*>(result));
  else
    weight_gradient<forwards>(tiles, p.image[1], p.result[1], from, static_cast<const T*>(result),
                              floats(2), floats(3));
}

Extent extent(const Shape& image) { return {image[0], image[1], image[2] * image[3]}; }

// Of plain images: by way of blocks.
template <class T>
void run_plain(const Convolution& p, const std::vector<void*>& data) {
  const bool back = p.kind == kInputGradient, weights = p.kind == kWeightGradient;
  const Extent from = extent(back ? p.result : p.image), to = extent(back ? p.image : p.result);
  const Scratch space(from.size() * sizeof(T) + to.size() * sizeof(float) + 2 * kPage);
  Parts parts(space.data());
  T* const first = parts.take<T>(from.size());
  float* const result = parts.take<float>(to.size());
  to_blocks(static_cast<const float*>(data[0]), from, from.channels, 0, first);
  if (weights)
    to_blocks(static_cast<const float*>(data[1]), to, to.channels, 0, reinterpret_cast<T*>(result));
  is_doubled(p) ? run<kSmall, kLarge, T, float>(p, first, data, result)
                : run<kImages, kImages, T, float>(p, first, data, result);
  if (!weights) from_blocks(result, to.channels, 0, to, false, static_cast<float*>(data[back ? 2 : 3]));
}

}  // namespace

bool by_winograd(const Convolution& p) {
  const int64_t fewest = p.factors == onednn::bf16 ? 64 : 32;
  const int64_t height = p.result[2], width = p.result[3], inner = p.image[1], outer = p.result[1];
  const int64_t times = is_doubled(p) && !p.in_blocks ? 2 : 1;
  return has_lanes_for(p.factors) && p.weight == Shape{outer, inner, 3, 3} &&
         height == times * p.image[2] && width == times * p.image[3] &&
         height % 2 == 0 && width % 2 == 0 && inner % kBlock == 0 && outer % kBlock == 0 &&
         Tiles(p.result).count() >= fewest && inner * outer <= kMostWeights;
}

void convolve_by_winograd(const Convolution& p, const std::vector<void*>& data) {
  const bool half = p.factors == onednn::bf16;
  if (!p.in_blocks) return half ? run_plain<Half>(p, data) : run_plain<float>(p, data);
  void* const result = data[p.kind == kForward ? 3 : p.kind == kInputGradient ? 2 : 1];
  if (!half)
    run<kImages, kImages, float, float>(p, data[0], data, result);
  else if (p.computed == onednn::bf16 && p.kind != kWeightGradient)
    run<kImages, kImages, Half, Half>(p, data[0], data, result);
  else
    run<kImages, kImages, Half, float>(p, data[0], data, result);
}

#else

bool by_winograd(const Convolution&) { return false; }
void convolve_by_winograd(const Convolution&, const std::vector<void*>&) {}

#endif
