// x W^T + b and its gradients by oneDNN, which chooses the layouts that it computes in.
//
// In bfloat16 the two factors of every product are rounded to it, as in a convolution; sums, biases
// and all results are float32.

#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "plans.h"

namespace {

enum Kind { kForward, kInputGradient, kWeightGradient };

// The shapes of one product: x (rows, dim), W (dim_out, dim).
struct Problem {
  Kind kind;
  int factors;  // their type: f32 or bf16
  int64_t rows, dim, dim_out;
  bool operator<(const Problem& other) const { return key() < other.key(); }
  int64_t work() const { return 2 * rows * dim * dim_out; }

 private:
  std::tuple<int, int, int64_t, int64_t, int64_t> key() const {
    return {kind, factors, rows, dim, dim_out};
  }
};

std::shared_ptr<const Plan> plan(const Problem& p, Threads& threads) {
  using namespace onednn;
  const auto& dnn = library().dnn;
  const Shape x{p.rows, p.dim}, weight{p.dim_out, p.dim}, bias{p.dim_out};
  const Shape result{p.rows, p.dim_out};
  Handle pd = make(dnn.primitive_desc_destroy, dnn.inner_product_forward_primitive_desc_create,
                   dnn.engine, forward_training, any(x, p.factors), any(weight, p.factors),
                   any(bias, f32), any(result, f32), attributes());
  if (p.kind == kForward) {
    return std::make_shared<Plan>(std::move(pd),
                                  std::vector<Port>{{arg_src, x, false},
                                                    {arg_weights, weight, false},
                                                    {arg_bias, bias, false},
                                                    {arg_dst, result, true}},
                                  threads);
  }
  const Handle dresult = any(result, p.factors);
  if (p.kind == kInputGradient) {
    Handle backward = make(dnn.primitive_desc_destroy,
                           dnn.inner_product_backward_data_primitive_desc_create, dnn.engine,
                           any(x, f32), any(weight, p.factors), dresult, pd, attributes());
    return std::make_shared<Plan>(std::move(backward),
                                  std::vector<Port>{{arg_diff_dst, result, false},
                                                    {arg_weights, weight, false},
                                                    {arg_diff_src, x, true}},
                                  threads);
  }
  Handle backward = make(dnn.primitive_desc_destroy,
                         dnn.inner_product_backward_weights_primitive_desc_create, dnn.engine,
                         any(x, p.factors), any(weight, f32), any(bias, f32), dresult, pd,
                         attributes());
  return std::make_shared<Plan>(std::move(backward),
                                std::vector<Port>{{arg_src, x, false},
                                                  {arg_diff_dst, result, false},
                                                  {arg_diff_weights, weight, true},
                                                  {arg_diff_bias, bias, true}},
                                threads);
}

std::shared_ptr<const Plan> planned(Kind kind, int factors, const Arguments& args) {
  const auto x = args.shape(0), weight = args.shape(1);
  const Problem problem{kind, factors, x[0], x[1], weight[0]};
  return remembered(problem, [&] {
    Threads& threads = library().threads_for(problem.work());
    return made_for(threads, [&] { return plan(problem, threads); });
  });
}

// x (R, C), weight (O, C), bias (O,) -> result (R, O)
void forwards(const Arguments& args, int factors) {
  (*planned(kForward, factors, args))(
      {args.floats(0), args.floats(1), args.floats(2), args.floats(3)});
}

// x (only its shape is read), weight, dL/dresult -> dL/dx
void input_gradient(const Arguments& args, int factors) {
  (*planned(kInputGradient, factors, args))({args.floats(2), args.floats(1), args.floats(3)});
}

// x, weight (only its shape is read), dL/dresult -> dL/dweight, dL/dbias
void weight_gradient(const Arguments& args, int factors) {
  (*planned(kWeightGradient, factors, args))(
      {args.floats(0), args.floats(2), args.floats(3), args.floats(4)});
}

}  // namespace

DDPM_OPERATOR(linear) { forwards(args, onednn::f32); }
DDPM_OPERATOR(linear_input_gradient) { input_gradient(args, onednn::f32); }
DDPM_OPERATOR(linear_weight_gradient) { weight_gradient(args, onednn::f32); }
DDPM_OPERATOR(linear_bfloat16) { forwards(args, onednn::bf16); }
DDPM_OPERATOR(linear_bfloat16_input_gradient) { input_gradient(args, onednn::bf16); }
DDPM_OPERATOR(linear_bfloat16_weight_gradient) { weight_gradient(args, onednn::bf16); }
