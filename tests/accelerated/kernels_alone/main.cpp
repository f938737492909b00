// Runs operators of the library without Python and MindSpore, and compares them with plain loops:
// on processors that are only emulated, neither of the two could be started.
//
//   main LIBRARY ONEDNN [convolve]     convolve: ONEDNN is the real one

#include <dlfcn.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using Shape = std::vector<int64_t>;

struct Array {
  Shape shape;
  std::vector<float> data;
  explicit Array(Shape of, int seed = 0) : shape(of) {
    int64_t size = 1;
    for (int64_t n : shape) size *= n;
    uint32_t state = 12345 + seed;
    for (int64_t i = 0; i < size; ++i) {
      state = state * 1664525 + 1013904223;
      data.push_back(seed ? static_cast<float>(state >> 8) / (1 << 23) - 1.0f : 0.0f);
    }
  }
  float& operator[](int64_t i) { return data[i]; }
};

void* library;

void call(const char* name, std::vector<Array*> arrays) {
  std::vector<void*> data;
  std::vector<int> ndims;
  std::vector<int64_t*> shapes;
  for (Array* a : arrays) {
    data.push_back(a->data.data());
    ndims.push_back(static_cast<int>(a->shape.size()));
    shapes.push_back(a->shape.data());
  }
  using Operator = int (*)(int, void**, int*, int64_t**, const char**, void*, void*);
  auto run = reinterpret_cast<Operator>(dlsym(library, name));
  if (run == nullptr || run(static_cast<int>(data.size()), data.data(), ndims.data(),
                            shapes.data(), nullptr, nullptr, nullptr) != 0) {
    std::printf("%s failed\n", name);
    std::exit(1);
  }
}

void same(const char* name, const Array& got, const Array& expected) {
  for (size_t i = 0; i < got.data.size(); ++i)
    if (!(std::fabs(got.data[i] - expected.data[i]) < 1e-4f)) {
      std::printf("%s: %g and not %g\n", name, got.data[i], expected.data[i]);
      std::exit(1);
    }
  std::printf("%s is right\n", name);
}

void normalize_silu() {
  const int64_t B = 3, C = 40, N = 777;
  Array x({B, C, N}, 1), g({1, C, 1, 1}, 2), modulation({B, 2 * C}, 3), out({B, C, N}), right = out;
  call("normalize_silu", {&x, &g, &modulation, &out});
  for (int64_t b = 0; b < B; ++b)
    for (int64_t i = 0; i < N; ++i) {
      double square = 0;
      for (int64_t c = 0; c < C; ++c) square += std::pow(x[(b * C + c) * N + i], 2);
      for (int64_t c = 0; c < C; ++c) {
        const double n = std::sqrt(C) * g[c] * x[(b * C + c) * N + i] / std::sqrt(square);
        const double z = (modulation[2 * b * C + c] + 1) * n + modulation[2 * b * C + C + c];
        right[(b * C + c) * N + i] = static_cast<float>(z / (1 + std::exp(-z)));
      }
    }
  same("normalize_silu", out, right);
}

void standardize() {
  const int64_t B = 3, C = 40, N = 777, G = 5, M = C / G * N;
  Array x({B, C, N}, 9), gamma({C}, 10), beta({C}, 11), settings({2}), out({B, C, N}), right = out;
  settings[0] = G, settings[1] = 0.01f;
  call("standardize", {&x, &gamma, &beta, &settings, &out});
  for (int64_t group = 0; group < B * G; ++group) {
    double mean = 0, variance = 0;
    for (int64_t i = group * M; i < (group + 1) * M; ++i) mean += x[i] / M;
    for (int64_t i = group * M; i < (group + 1) * M; ++i) variance += std::pow(x[i] - mean, 2) / M;
    for (int64_t i = group * M; i < (group + 1) * M; ++i) {
      const int64_t c = i / N % C;
      const double unit = (x[i] - mean) / std::sqrt(variance + 0.01);
      right[i] = static_cast<float>(gamma[c] * unit + beta[c]);
    }
  }
  same("standardize", out, right);
}

void softmax_gradient() {
  const int64_t rows = 900, n = 101;
  Array y({rows, n}, 4), dy({rows, n}, 5), out({rows, n}), right = out;
  call("softmax_gradient", {&y, &dy, &out});
  for (int64_t r = 0; r < rows; ++r) {
    double product = 0;
    for (int64_t i = r * n; i < (r + 1) * n; ++i) product += y[i] * dy[i];
    for (int64_t i = r * n; i < (r + 1) * n; ++i)
      right[i] = static_cast<float>(y[i] * (dy[i] - product));
  }
  same("softmax_gradient", out, right);
}

void convolution() {
  const int64_t B = 2, C = 24, O = 33, H = 15, W = 17;
  Array x({B, C, H, W}, 6), w({O, C, 3, 3}, 7), bias({O}, 8), out({B, O, H, W}), right = out;
  call("convolution", {&x, &w, &bias, &out});
  for (int64_t b = 0; b < B; ++b)
    for (int64_t o = 0; o < O; ++o)
      for (int64_t i = 0; i < H; ++i)
        for (int64_t j = 0; j < W; ++j) {
          double sum = bias[o];
          for (int64_t c = 0; c < C; ++c)
            for (int64_t di = -1; di <= 1; ++di)
              for (int64_t dj = -1; dj <= 1; ++dj)
                if (i + di >= 0 && i + di < H && j + dj >= 0 && j + dj < W)
                  sum += x[((b * C + c) * H + i + di) * W + j + dj] *
                         w[((o * C + c) * 3 + di + 1) * 3 + dj + 1];
          right[((b * O + o) * H + i) * W + j] = static_cast<float>(sum);
        }
  same("convolution", out, right);
}

int main(int argc, char** argv) {
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  using Open = const char* (*)(const char*, int);
  const char* reason = reinterpret_cast<Open>(dlsym(library, "ddpm_kernels_open"))(argv[2], 2);
  if (reason != nullptr) {
    std::printf("%s\n", reason);
    return 1;
  }
  normalize_silu();
  standardize();
  softmax_gradient();
  if (argc > 3) convolution();
}
