// Convolutions, as operators and as parts of larger ones.
#pragma once

#include <tuple>
#include <vector>

#include "plans.h"

// What is computed: the result; the gradient by the image; those by weight and bias.
enum Kind { kForward, kInputGradient, kWeightGradient };

// The shapes of one convolution.
struct Convolution {
  Kind kind;
  int factors;  // their type: f32 or bf16
  Shape image, weight, result;
  // Whether images and results are in blocks of 16 channels: those that are factors in bfloat16, and
  // what is computed of them as `computed`.
  bool in_blocks = false;
  int computed = onednn::f32;
  bool operator<(const Convolution& other) const { return key() < other.key(); }
  // Multiplications and additions: for every weight, those with a pixel of every result.
  int64_t work() const {
    return 2 * weight[0] * weight[1] * weight[2] * weight[3] * result[0] * result[2] * result[3];
  }

 private:
  std::tuple<int, int, const Shape&, const Shape&, const Shape&, bool, int> key() const {
    return {kind, factors, image, weight, result, in_blocks, computed};
  }
};

// Compute it. Data are, forwards: image, weight, bias, result; for the gradient by the image:
// dL/dresult, weight, dL/dimage; for the other: image, dL/dresult, dL/dweight, dL/dbias.
void convolve(const Convolution& convolution, const std::vector<void*>& data);
