// Convolution and its gradients by oneDNN, which chooses the layouts that it computes in.
//
// Images and weights outside are plain (B, C, H, W) and (O, C, k, l). Along each side the kernel moves
// by as many pixels as the image is larger than the result, s, over a margin of (k - s) / 2: by one
// with a margin of k / 2 where both are as large, by its own size without a margin where s = k.
//
// In bfloat16 the two factors of every product are rounded to it (to the nearest, ties to even) on
// the way into the layout inside; sums, biases and all results are float32.
//
// Forwards, weights may be for fewer channels than the image has: groups of channels then have
// filters of their own, down to (C, 1, k, l) with one for each channel.

#include "pointwise.h"
#include "winograd.h"

#include <memory>
#include <utility>
#include <vector>

namespace {

// The weights' shape as oneDNN has it: of groups with an axis for them, in the same order of numbers.
Shape grouped(const Convolution& p) {
  const int64_t groups = p.weight[1] > 0 ? p.image[1] / p.weight[1] : 0;
  if (groups == 1 && p.image[1] == p.weight[1]) return p.weight;
  if (groups < 1 || p.image[1] % p.weight[1] != 0 || p.weight[0] % groups != 0)
    throw std::invalid_argument("the image's channels do not fit the weights");
  return {groups, p.weight[0] / groups, p.weight[1], p.weight[2], p.weight[3]};
}

Handle activations(const Convolution& p, const Shape& shape, int type) {
  return p.in_blocks ? blocked(shape, type) : any(shape, type);
}

Handle forward(const Convolution& p, const onednn::dims strides, const onednn::dims margin) {
  const auto& dnn = library().dnn;
  const onednn::dims dilates{};
  return make(dnn.primitive_desc_destroy, dnn.convolution_forward_primitive_desc_create,
              dnn.engine, onednn::forward_training, onednn::convolution_direct,
              activations(p, p.image, p.factors), any(grouped(p), p.factors),
              any({p.weight[0]}, onednn::f32), activations(p, p.result, p.computed), strides,
              dilates, margin, margin, attributes());
}

std::shared_ptr<const Plan> plan(const Convolution& p, Threads& threads) {
  using namespace onednn;
  const auto& dnn = library().dnn;
  const dims strides{p.image[2] / p.result[2], p.image[3] / p.result[3]}, dilates{};
  const dims margin{(p.weight[2] - strides[0]) / 2, (p.weight[3] - strides[1]) / 2};
  Handle pd = forward(p, strides, margin);
  if (p.kind == kForward) {
    return std::make_shared<Plan>(std::move(pd),
                                  std::vector<Port>{{arg_src, p.image, false, p.in_blocks},
                                                    {arg_weights, grouped(p), false},
                                                    {arg_bias, {p.weight[0]}, false},
                                                    {arg_dst, p.result, true, p.in_blocks}},
                                  threads);
  }
  const Handle result = activations(p, p.result, p.factors);
  if (p.kind == kInputGradient) {
    const Handle image = activations(p, p.image, p.computed), weight = any(p.weight, p.factors);
    Handle backward = make(dnn.primitive_desc_destroy,
                           dnn.convolution_backward_data_primitive_desc_create, dnn.engine,
                           convolution_direct, image, weight, result, strides, dilates, margin,
                           margin, pd, attributes());
    return std::make_shared<Plan>(
        std::move(backward), std::vector<Port>{{arg_diff_dst, p.result, false, p.in_blocks},
                                               {arg_weights, p.weight, false},
                                               {arg_diff_src, p.image, true, p.in_blocks}},
        threads);
  }
  const Handle image = activations(p, p.image, p.factors), weight = any(p.weight, f32);
  const Handle bias = any({p.weight[0]}, f32);
  Handle backward = make(dnn.primitive_desc_destroy,
                         dnn.convolution_backward_weights_primitive_desc_create, dnn.engine,
                         convolution_direct, image, weight, bias, result, strides, dilates,
                         margin, margin, pd, attributes());
  return std::make_shared<Plan>(std::move(backward),
                                std::vector<Port>{{arg_src, p.image, false, p.in_blocks},
                                                  {arg_diff_dst, p.result, false, p.in_blocks},
                                                  {arg_diff_weights, p.weight, true},
                                                  {arg_diff_bias, {p.weight[0]}, true}},
                              threads);
}

}  // namespace

void convolve(const Convolution& convolution, const std::vector<void*>& data) {
  if (by_winograd(convolution)) return convolve_by_winograd(convolution, data);
  if (by_product(convolution)) return convolve_by_product(convolution, data);
  const auto run = remembered(convolution, [&] {
    Threads& threads = library().threads_for(convolution.work());
    return made_for(threads, [&] { return plan(convolution, threads); });
  });
  (*run)(data);
}

// x (B, C, H, W), weight (O, C / groups, k, l), bias (O,) -> result (B, O, H', W')
static void forwards(const Arguments& args, int factors) {
  convolve({kForward, factors, args.shape(0), args.shape(1), args.shape(3)},
           {args.floats(0), args.floats(1), args.floats(2), args.floats(3)});
}

// x (only its shape is read), weight, dL/dresult -> dL/dx
static void input_gradient(const Arguments& args, int factors) {
  convolve({kInputGradient, factors, args.shape(0), args.shape(1), args.shape(2)},
           {args.floats(2), args.floats(1), args.floats(3)});
}

// x, weight (only its shape is read), dL/dresult -> dL/dweight, dL/dbias
static void weight_gradient(const Arguments& args, int factors) {
  convolve({kWeightGradient, factors, args.shape(0), args.shape(1), args.shape(2)},
           {args.floats(0), args.floats(2), args.floats(3), args.floats(4)});
}

DDPM_OPERATOR(convolution) { forwards(args, onednn::f32); }
DDPM_OPERATOR(convolution_input_gradient) { input_gradient(args, onednn::f32); }
DDPM_OPERATOR(convolution_weight_gradient) { weight_gradient(args, onednn::f32); }
DDPM_OPERATOR(convolution_bfloat16) { forwards(args, onednn::bf16); }
DDPM_OPERATOR(convolution_bfloat16_input_gradient) { input_gradient(args, onednn::bf16); }
DDPM_OPERATOR(convolution_bfloat16_weight_gradient) { weight_gradient(args, onednn::bf16); }

// Whether the processor multiplies bfloat16 (AVX-512 BF16, AMX). Others would emulate it.
EXPORT int ddpm_kernels_bfloat16() {
#if defined(__x86_64__)
  constexpr int wanted = onednn::isa_avx512_core_bf16;
  return (library().dnn.get_effective_cpu_isa() & wanted) == wanted;
#else
  return 0;
#endif
}
